# Everything here needs Python 3.11 or newer and nothing else. `make` alone lists what there is.
#
#   PORT=8000     port of the web server          VENV=.venv     the Python environment
#   LISTEN=...    address, default 127.0.0.1      PYTHON=...     the Python to make it with
#   ARGS=--fresh  throw the demo's data away      (more: manage.py up --help)

VENV ?= .venv
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$python >/dev/null 2>&1 || continue; \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

bin := $(VENV)/bin
# An environment is as good as the lock file that it was made from.
stamp = $(VENV)/.$(1)-$(firstword $(shell cksum < requirements/$(1).txt 2>/dev/null))
run_stamp := $(call stamp,run)
dev_stamp := $(call stamp,dev)
bench_stamp := $(call stamp,bench)

.PHONY: help run test lint screenshots bench torture lock install clean
.DELETE_ON_ERROR:

help:
	@echo 'make run          the whole product with demo data, at http://localhost:8000'
	@echo 'make test         every test, one summary'
	@echo 'make lint         every static check'
	@echo 'make screenshots  pictures of every page, in screenshots/'
	@echo 'make bench        numbers of the engine, beside other ways to do the same'
	@echo 'make torture      five minutes of every fault at once, and what must be true afterwards'
	@echo 'make lock         new lock files from requirements/*.in'
	@echo 'make clean        remove what was built; data in .evenkeel/ stays'

run: $(run_stamp)
	@$(bin)/python manage.py up --demo $(ARGS)

test: $(dev_stamp)
	@$(bin)/python .ci/test.py

lint: $(dev_stamp)
	@VENV="$(VENV)" .ci/lint

screenshots: $(dev_stamp)
	@$(bin)/python -m pytest -q tests/browser/screenshots.py

bench: $(bench_stamp)
	@$(bin)/python benchmarks/engine.py

torture: $(dev_stamp)
	@$(bin)/python benchmarks/torture.py $(ARGS)

lock: $(dev_stamp)
	for name in run dev bench; do \
		$(bin)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-header --only-binary :all: requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

install: $(dev_stamp)

clean:
	rm -rf $(VENV) staticfiles screenshots test-results .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'Evenkeel needs Python 3.11 or newer, and found none in PATH. Install one (Debian: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Evenkeel needs Python 3.11 or newer; $(PYTHON) is older.'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'That Python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv'; exit 1; }

$(VENV)/.%: | $(VENV)/bin/python
	@name=$*; name=$${name%-*}; echo "Installing requirements/$$name.txt into $(VENV) (once, about a minute)"; \
	$(bin)/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes --only-binary :all: \
		-r requirements/$$name.txt || { echo "The packages could not be installed; the lines above say why."; \
		echo "No compiler is ever needed: ready-made wheels exist for Python 3.11 to 3.13 on Linux and macOS."; exit 1; }
	@rm -f $(VENV)/.$(firstword $(subst -, ,$*))-*; touch $@
