# Two commands do everything on a fresh machine: make demo, make test.
# Paths are relative, so that a folder with a space in its name will do.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint fuzz bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.stamp
	@$(RUN) -m nptransport_command demo

# Hundreds of processes are started: with bytecode to read each takes a quarter less, whatever the environment says.
test: $(VENV)/test.stamp
	@PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest -n 3 --dist loadfile $(ARGS)

lint: $(VENV)/test.stamp
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

fuzz: $(VENV)/test.stamp
	@$(RUN) benchmarks/fuzz.py --inputs $${INPUTS:-400_000} --seed $${SEED:-1}

bench: $(VENV)/test.stamp
	@$(RUN) -m nptransport_command bench --quick
	@$(RUN) benchmarks/codec.py
	@$(RUN) benchmarks/imports.py
	@$(RUN) benchmarks/stream.py
	@$(RUN) benchmarks/pubsub.py
	@$(RUN) benchmarks/pubsub.py --age
	@$(RUN) benchmarks/shm.py
	@$(RUN) benchmarks/wakeups.py
	@$(RUN) benchmarks/memory.py
	@$(RUN) benchmarks/stuck.py
	@$(RUN) benchmarks/asleep.py
	@$(RUN) benchmarks/requests.py
	@$(RUN) benchmarks/chaos.py

clean:
	rm -rf $(VENV) .hypothesis .pytest_cache .mypy_cache .ruff_cache

$(VENV)/%.stamp: pyproject.toml | $(RUN)
	@echo "installing what make $* needs into $(VENV) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[$*]' >$(VENV)/pip.log 2>&1 || \
	  { echo "make: pip could not install the extra '$*' (is there a network?):" \
	    "$$(sed -n 's/^ *ERROR: //p' $(VENV)/pip.log | tail -n 1); more in $(VENV)/pip.log" >&2; exit 1; }
	@touch $@

$(RUN):
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	  { echo "make: Python 3.10 or later is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: $(PYTHON) has no venv module: apt install python3-venv, or another Python" >&2; exit 1; }
	@said=$$("$(PYTHON)" -m venv --clear $(VENV) 2>&1) || \
	  { echo "make: cannot make $(VENV): $$(echo "$$said" | tail -n 1)" >&2; exit 1; }
