# make run   the dashboard on http://127.0.0.1:8501 (HOST and PORT override it; to other machines it
#            answers under the names in HOSTS alone)
# make test  every test, the browser's included; ARGS="tests/runs/test_store.py -x" for some of them
# make test-fast  without the browser and what starts and stops processes
# make coverage  the lines of aecore that test-fast does not reach; ARGS=tests/data for some of them
# make check lint, format and types
# make docs   the documentation as a site, in site/
# make reference  the tables of docs/reference, from the registries
# make pictures  the pictures of docs/, from the running dashboard (needs MNIST)
# make lock   requirements.txt, from the ranges of pyproject.toml; ARGS="-P plotly" for its newest
# make wheel  a package to install, in dist/
HOST ?= 127.0.0.1
PORT ?= 8501
HOSTS ?= localhost 127.0.0.1 ::1 $(HOST)
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Processes that tests are shared out to.
WORKERS ?= 2

.PHONY: run test test-fast coverage check docs reference pictures lock wheel

run: .venv/.for-run
	$(BIN)/streamlit run app.py --server.address=$(HOST) --server.port=$(PORT) \
		$(HOSTS:%=--server.allowedHosts=%)

# A test in the browser that fails is run up to twice more, and one of processes once more; both are
# reported as rerun. On a busy machine a press during a run of a page can be lost, and a connection of
# Dask's can time out.
test: .venv/.for-test
	$(BIN)/python tests/chromium.py
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not serial and not browser"
	$(PYTEST) -n $(WORKERS) --dist loadfile -m browser --reruns 2
	$(PYTEST) -m serial --reruns 1
endif

test-fast: .venv/.for-test
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not serial and not browser" $(ARGS)

coverage: override ARGS += --cov=aecore --cov-report=term-missing:skip-covered
coverage: test-fast

check: .venv/.for-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/.for-docs reference
	$(BIN)/mkdocs build --quiet

reference: .venv/.for-run
	$(BIN)/python docs/write_reference.py

pictures: .venv/.for-test
	$(BIN)/python docs/make_pictures.py

# Without torch's +cpu, which only some indexes have: pip installs that wheel where it finds it.
lock: .venv/.for-test
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --no-annotate --strip-extras --extra sweeps \
		--allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--output-file requirements.txt pyproject.toml $(ARGS)
	perl -pi -e 's/\+\w+$$//' requirements.txt

wheel: .venv/bin/python
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.for-run: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

.venv/.for-test: tests/requirements.txt requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet -r tests/requirements.txt
	touch $@

.venv/.for-docs: docs/requirements.txt requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet -r docs/requirements.txt
	touch $@
