# make run   the dashboard on http://127.0.0.1:8501 (HOST and PORT override it; to other machines it
#            answers under the names in HOSTS alone)
# make test  every test, the browser's included; ARGS="tests/runs/test_store.py -x" for some of them
# make test-fast  without the browser and what starts and stops processes
# make check lint, format and types
# make docs   the documentation as a site, in site/
# make reference  the tables of docs/reference, from the registries
# make pictures  the pictures of docs/, from the running dashboard (needs MNIST)
# make wheel  a package to install, in dist/
HOST ?= 127.0.0.1
PORT ?= 8501
HOSTS ?= localhost 127.0.0.1 ::1 $(HOST)
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Processes that tests are shared out to.
WORKERS ?= 2

.PHONY: run test test-fast check docs reference pictures wheel

run: .venv/.for-run
	$(BIN)/streamlit run app.py --server.address=$(HOST) --server.port=$(PORT) \
		$(HOSTS:%=--server.allowedHosts=%)

test: .venv/.for-test
	$(BIN)/python tests/chromium.py
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not serial and not browser"
	$(PYTEST) -n $(WORKERS) --dist loadfile -m browser
	$(PYTEST) -m serial
endif

test-fast: .venv/.for-test
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not serial and not browser" $(ARGS)

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
