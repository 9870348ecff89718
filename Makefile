# demo       setup, then a student that the repository ships samples your caption: make demo CAPTION="a blue cross"
# setup      .venv with salt and snakemake; does nothing when it is up to date
# test       setup, then the static checks and all tests
# test-docs  setup, then what README and docs tell a reader to run, and the guides, in fresh checkouts; minutes
# test-slurm setup, then the workflow on a SLURM started on this machine, with faults; needs root, else it is skipped
# soak       setup, then hostile input and faults at their full counts, which make test tries a few of; an hour
# lint       the static checks alone
# reproduce  setup, then the core of the lab, Table 4 and the defect figure with one seed, and how these agree with ours
# lock       requirements.lock anew, from pyproject.toml; audit: are weaknesses known of what it holds? both need a network
# clean      caches of the tools; results, scratch/ and .venv stay
PYTHON ?= python3
REPRODUCED := scratch/reproduce
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo setup lint test test-docs test-slurm soak reproduce lock audit clean
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help:
	@sed -n 's/^# /make /p' Makefile

setup: .venv/.complete

# .unfinished marks a set-up that was killed: pip may then take half a package for a whole one, so start afresh.
.venv/.complete: pyproject.toml requirements.lock workflow/snakemake.sh
	@$(PYTHON) -c 'import sys; sys.exit("salt needs Python 3.11 or newer: make setup PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@if [ -e .venv/.unfinished ] || ! .venv/bin/python -m pip --version > /dev/null 2>&1; then $(PYTHON) -m venv --clear .venv; fi
	@touch .venv/.unfinished
	.venv/bin/python -m pip install --require-hashes --no-deps -r requirements.lock
	.venv/bin/python -m pip install torch==2.13.0
	.venv/bin/python -m pip install --no-deps --no-build-isolation -e .
	@rm -f .venv/bin/snakemake && install -m 755 workflow/snakemake.sh .venv/bin/snakemake
	@rm .venv/.unfinished && touch $@

# torch is left out with the CUDA packages that it names: a build for CPUs and one for GPUs have one version and two hashes.
CUDA := cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime \
	nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 \
	nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx triton
lock: setup
	.venv/bin/python -m pip install uv
	.venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --extra dev pyproject.toml --no-header \
		--no-emit-package torch $(addprefix --no-emit-package ,$(CUDA)) -o requirements.lock
	sed -i '1i # What `make setup` installs beside torch, by version and hash, for any Python from 3.11 on. `make lock` writes it anew.' \
		requirements.lock

audit: setup
	.venv/bin/python -m pip install pip-audit
	.venv/bin/pip-audit --disable-pip --requirement requirements.lock

# The scale whose student is shipped in assets/students; `salt export WEIGHTS --scale SCALE --layout shipped --out
# assets/students/SCALE/EXPERIMENT` ships another.
DEMO_SCALE := tiny
CAPTION ?= a red ring moving sideways on a black background
export CAPTION
demo: setup
	@.venv/bin/salt sample sc_dmd --scale $(DEMO_SCALE) --nfe 4 --cell extended_cm_4 --each 4 --caption "$$CAPTION" \
		--out samples/demo/videos --sheet samples/demo/demo.png --sheet samples/demo/demo.gif
	@echo "four videos of one caption, in 4 network evaluations each: open samples/demo/demo.gif, or demo.png beside it"

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# The tests find on PATH the system's base tools, git and Python, and nothing else: what somebody, or an earlier test, has
# installed on this machine (Debian puts SLURM's commands into /usr/bin) must not decide whether they pass. Files go to
# several processes of one thread whole, since what the tests of one file share is made once in each.
TOOLS := awk basename bash cat chmod cp cut date df dirname echo env expr false find git grep gzip head hostname id kill \
	ln ls make mkdir mktemp mount mv nproc od printf ps pwd readlink realpath rm rmdir sed seq sh sha256sum sleep sort stat tail tar \
	tee test touch tr true umount uname uniq wc which xargs
define pytest
	@tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	for tool in $(TOOLS); do if found=$$(type -P $$tool); then ln -s "$$found" "$$tools/$$tool"; fi; done; \
	PATH="$(CURDIR)/.venv/bin:$$tools" OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive \
	.venv/bin/python -m pytest -n logical --maxprocesses 4 --dist loadfile
endef
test: lint
	$(pytest)

test-docs: setup
	$(pytest) -m literal tests/docs

test-slurm: setup
	.venv/bin/python -m pytest -m slurm tests/slurm

soak: export SALT_SOAK := 1
soak: setup
	$(pytest) tests/hostile tests/faults

# Table 4 has three students. On two cores their trainings run three abreast: two and then one would leave a core idle for
# half of the time that training takes.
ABREAST = $$(.venv/bin/python -c 'import os; print(max(3, os.cpu_count() or 1))')
reproduce: setup
	@start=$$SECONDS; \
	ready() { \
		echo; echo "$$1: there to be looked at, $$(( (SECONDS - start) / 60 )) min $$(( (SECONDS - start) % 60 )) s after the start"; \
		shift; ls "$$@" | sed 's/^/  /'; echo; \
	}; \
	.venv/bin/snakemake fig_lab --config out=$(REPRODUCED); \
	ready "The core of the lab" $(REPRODUCED)/paper_figures/lab/fig_lab.*; \
	.venv/bin/snakemake --cores $(ABREAST) --config seeds=1 only=table4,figA1 out=$(REPRODUCED); \
	echo; cat $(REPRODUCED)/results/tiny/tables/table4.md; \
	ready "Table 4 and its students' defect, of one training seed" \
		$(REPRODUCED)/results/tiny/tables/table4.* $(REPRODUCED)/paper_figures/tiny/figA1.*; \
	.venv/bin/salt agreement table4 --scale tiny --records $(REPRODUCED)/results/tiny/records --committed results/tiny/records; \
	echo "The committed results, with all seeds, are in results/tiny and paper_figures/tiny: snakemake all remakes them."

clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
	find salt tests -name __pycache__ -type d -exec rm -rf {} +
	@echo "kept: .venv, scratch, results, paper_figures"
