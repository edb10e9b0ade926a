# make run   the dashboard on http://127.0.0.1:8501 (HOST and PORT override it; to other machines it
#            answers under the names in HOSTS alone)
# make test  every test, the browser's included
# make check lint and format
HOST ?= 127.0.0.1
PORT ?= 8501
HOSTS ?= localhost 127.0.0.1 ::1 $(HOST)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check

run: .venv/.for-run
	$(BIN)/streamlit run app.py --server.address=$(HOST) --server.port=$(PORT) \
		$(HOSTS:%=--server.allowedHosts=%)

test: .venv/.for-test
	$(BIN)/python tests/chromium.py
	$(BIN)/python -m pytest $(ARGS)

check: .venv/.for-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.for-run: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

.venv/.for-test: tests/requirements.txt requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet -r tests/requirements.txt
	touch $@
