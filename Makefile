# make demo      install, run the demo, and show what it found
# make yeast     the same with real data
# make test      install, check the style, and run the tests: at most 10 minutes on 2 cores
# make test-all  the same and what takes longer: whole workflows, browsers, Slurm, object storage, benchmarks
# make lint      style and types only
# make gpu       tests and speed on a GPU: benchmarks/results/gpu.md, in at most 6 minutes
# make docs      the documentation site, in build/site
# make browser   igv.js for `seqlift browse`, by npm
# make clean     delete the results and data of demo and yeast (not the installation)

# python3 is 3.11 or newer; another one: make PYTHON=python3.13 demo
PYTHON = python3
CORES = all

# Relative names only, and PATH by the environment: the checkout may lie in a path with spaces
export PATH := $(CURDIR)/.venv/bin:$(PATH)
INSTALLED = .venv/.installed
COMPILED = .venv/.compiled

# For pipefail. At Ctrl-C awk goes on to show what Snakemake says.
SHELL = /bin/bash
SNAKEMAKE = @set -o pipefail; \
	run() { snakemake --configfile $$1 --cores $(CORES) --quiet host reason 2>&1 | (trap '' INT; awk -f workflow/stages.awk); }; run

# A process for each core; the tests of one file stay together, as they share what they have prepared. Files with whole
# workflows come first (tests/conftest.py), so that no process is left alone with the last of them.
PYTEST = OMP_NUM_THREADS=1 pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

.PHONY: demo yeast test test-all lint gpu docs clean install browser
.DELETE_ON_ERROR:

demo: $(COMPILED)
	@echo "Running the demo, about 2 minutes on 2 cores"
	$(SNAKEMAKE) configs/demo.yaml
	@seqlift summary --run-dir results/demo/200bp

yeast: $(COMPILED)
	@echo "Running on data of yeast, about 12 minutes on 2 cores"
	$(SNAKEMAKE) configs/yeast.yaml
	@seqlift summary --run-dir results/yeast/300bp

test: $(COMPILED) lint
	$(PYTEST) -m "not extended"

test-all: test
	$(PYTEST) -m extended

GPU_PAGE = benchmarks/results/gpu.md

gpu: $(COMPILED)
	@python benchmarks/gpu.py > $(GPU_PAGE).part || { rm -f $(GPU_PAGE).part; exit 1; }
	@if [ -s $(GPU_PAGE).part ]; then mv $(GPU_PAGE).part $(GPU_PAGE); else rm $(GPU_PAGE).part; fi # nothing without a card

lint: $(INSTALLED)
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check workflow
	snakemake --lint

# To read it with its search: mkdocs serve
docs: $(INSTALLED)
	mkdocs build --strict
	@echo "The documentation begins in build/site/index.html"

install: $(COMPILED)

# The genome browser, which `seqlift browse` shows the tracks in; nothing else needs it
browser: $(INSTALLED)
	@command -v npm > /dev/null || { echo "npm is needed to get igv.js; on Debian or Ubuntu: sudo apt install npm" >&2; exit 1; }
	npm install --no-audit --no-fund --silent --prefix .venv/share/seqlift igv@3.8

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "seqlift needs Python 3.11 or newer, found " + sys.version.split()[0] + "; name one: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python has no venv module; on Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Installing seqlift and the packages it needs into .venv, about 3 minutes"
	@$(PYTHON) -m venv .venv
	@python -m pip install --disable-pip-version-check --quiet --upgrade pip # a new one installs in less time
	@python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[test,docs]'
	@touch $@

$(COMPILED): $(INSTALLED)
	@echo "Compiling loops of seqlift, TF-MoDISco and TOMTOM, about a minute"
	@python -m seqlift.motifs.warmup
	@touch $@

# Of data/yeast only what was downloaded: the files of yeast_atac.yaml, if you put them there, are yours
clean:
	rm -rf results/demo results/yeast results/yeast_atac data/demo
	rm -f data/yeast/sacCer3.fa.gz data/yeast/Reb1.narrowPeak data/yeast/Abf1.narrowPeak data/yeast/Mcm1.narrowPeak
	test ! -d data/yeast || rmdir --ignore-fail-on-non-empty data/yeast
