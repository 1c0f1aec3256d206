# One target per common task; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# DVC runs the stages with whatever `python` it finds first, so the environment comes first.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Passed on through the environment, unexpanded, so that neither make nor the shell interprets their values.
override ARCHIVE := $(value ARCHIVE)
override URL := $(value URL)
# Only from the command line: in the environment, such common names may mean something else.
override BASE := $(if $(filter command,$(origin BASE)),$(value BASE))
override MARGIN := $(if $(filter command,$(origin MARGIN)),$(value MARGIN))
override PICTURES := $(if $(filter command,$(origin PICTURES)),$(value PICTURES),yes)
export ARCHIVE URL BASE MARGIN PICTURES

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
# The kinds of DVC's remotes. Without the plugin for the default remote, not even `dvc checkout` works.
CONFIGS := .dvc/config .dvc/config.local "$${XDG_CONFIG_HOME:-$$HOME/.config}/dvc/config"
REMOTES := $(shell grep -hsoE '^\s*url\s*=\s*.?\w+://' $(CONFIGS) | grep -oE '\w+://')
LOCKED := $(filter azure:// gs:// s3:// ssh:// webdav:// webdavs://,$(REMOTES))
UNLOCKED := $(filter gdrive:// hdfs:// oss:// webhdfs://,$(REMOTES))

.DEFAULT_GOAL := help
.PHONY: help install remotes again repro sample watch check fast test review gate submission lint format data reference lock \
    clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: .venv/installed .venv/vega.js  ## make .venv from requirements.lock, with plugins if a DVC remote needs one
install: $(if $(LOCKED),.venv/plugins) $(UNLOCKED:%://=.venv/told-%)

remotes: install .venv/plugins  ## install DVC's plugins for remotes, also if none is configured

.venv/installed: requirements.lock
	@git -c safe.directory='*' rev-parse --git-dir > /dev/null || grep -qs 'no_scm = true' .dvc/config .dvc/config.local || \
	    { echo 'DVC needs git: clone the repository, or make this copy one: git init && git add --all && git commit' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else \
	    f"Python 3.11 to 3.13 is needed, and $(PYTHON) is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import sys; from importlib.util import find_spec; sys.exit(None if find_spec("ensurepip") else \
	    "$(PYTHON) has no ensurepip, which .venv needs: apt install python%d.%d-venv (Debian, Ubuntu), or " % sys.version_info[:2] + \
	    "name a different Python: make PYTHON=/path/to/python3.12 ...")'
	$(PYTHON) -m venv --clear .venv
	$(PIP) -r requirements.lock
	@touch $@

# `make remotes` repeats it, for an environment where a plugin was removed by hand.
.venv/plugins: .venv/installed requirements-remotes.lock $(if $(filter remotes,$(MAKECMDGOALS)),again)
	$(PIP) -r requirements-remotes.lock
	@touch $@

# Printed once per .venv; the plugin may already be there.
.venv/told-%: .venv/installed
	@echo "requirements-remotes.lock lacks DVC's plugin for $*://. Install it, again whenever .venv is made anew:" \
	    "$(BIN)/pip install 'dvc[$*]'" >&2
	@touch $@

# The JavaScript that the page of `dvc plots show` would otherwise load from the network.
.venv/vega.js: .venv/installed
	@$(BIN)/python -c 'import vl_convert; print(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed"))' > $@.partial
	@mv $@.partial $@

repro: install  ## run what changed in the pipeline, then print the scores and where the pictures are
	$(BIN)/python -m dvc repro
	@$(BIN)/python -m segcore scores

sample: install  ## run two epochs on the built-in sample in a temporary folder, whatever params.yaml says
	@if [[ $$(git rev-parse --is-shallow-repository) == true ]]; then \
	    echo 'DVC loses an experiment in a temporary folder of a shallow clone: git fetch --unshallow' >&2; exit 1; \
	fi; \
	twice=$$(git config --local --no-includes --name-only --list | sort | uniq -d | head -1); if [[ -n $$twice ]]; then \
	    echo "DVC cannot read .git/config, as it sets $$twice twice: keep one there, and move the others to a file:" >&2; \
	    echo "git config --file .git/more --add $$twice VALUE && git config include.path more" >&2; exit 1; \
	fi
	$(BIN)/python -m dvc exp run --temp --force --name=sample --set-param fetch.source=data/sample.tar.gz --set-param fetch.sha256=null \
	    --set-param fetch.dataset=data/sets/idd_lite.yaml \
	    --set-param train.init=data/random_start.yaml --set-param train.epochs=2
	@$(BIN)/python -m dvc metrics diff --all HEAD sample

# DVC gives each of them a folder. One is running if a process works there: after a kill, the folder stays.
watch: install  ## show how far experiments in the queue or with --temp are, and draw their curves in dvc_plots_NAME/
	@shopt -s nullglob; running=no; \
	for folder in .dvc/tmp/exps/{,standalone/}tmp*; do \
	    readlink /proc/[0-9]*/cwd | grep -qxF "$$(realpath "$$folder")" || continue; \
	    running=yes; id=$${folder##*/}; \
	    name=$$(sed -nE "s,.*/$$id\".*\"name\": \"([^\"]+)\".*,\1,p" /dev/null .dvc/tmp/exps/{,standalone/}run/*/*.run); \
	    echo "$${name:=$$id} ($$folder)"; \
	    [[ -f $$folder/metrics/curves.tsv ]] || { echo 'no epoch yet'; continue; }; \
	    { head -1 "$$folder/metrics/curves.tsv"; tail -n +2 "$$folder/metrics/curves.tsv" | tail -5; } | expand -t 12; \
	    (cd "$$folder" && "$$OLDPWD/$(BIN)/python" -m dvc plots show --out "$$OLDPWD/dvc_plots_$$name"); \
	done; \
	[[ $$running == yes ]] || { echo 'no experiment is running in the queue or with --temp' >&2; exit 1; }

check: install  ## lint and the fast tests, in 90 seconds
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint fast

fast: install
	$(BIN)/python -m pytest -m 'not slow and not system' --dist=worksteal --ignore=tests/benchmarks --ignore=tests/system

test: install  ## run all tests but those that take long or start servers, which only .ci/run runs
	$(BIN)/python -m pytest -m 'not system'

data: install  ## put IDD-Lite under DVC: make data ARCHIVE=/path/to/the.tar.gz, or URL='https://...'
	@if [[ -n $$URL ]]; then $(BIN)/python -m dvc get-url --force "$$URL" data/idd-lite.tar.gz; \
	elif [[ -z $$ARCHIVE ]]; then \
	    echo "which archive? make data ARCHIVE=/path/to/the.tar.gz, or make data URL='https://...'" >&2; exit 1; \
	else cp -- "$$ARCHIVE" data/idd-lite.tar.gz.copy && mv --force data/idd-lite.tar.gz.copy data/idd-lite.tar.gz; \
	fi
	$(BIN)/python -m dvc add data/idd-lite.tar.gz
	@echo 'now: dvc exp run -S fetch.source=data/idd-lite.tar.gz'

review: install  ## report what the workspace changed, in review/: make review BASE=main; PICTURES=no leaves out frames
	@case $$PICTURES in yes) options=();; no) options=(--without-pictures);; \
	    *) echo "PICTURES is $$PICTURES: yes or no" >&2; exit 1;; esac; \
	$(BIN)/python -m segcore review "$${options[@]}" $${MARGIN:+--margin "$$MARGIN"} -- $${BASE:+"$$BASE"}

gate: install  ## fail if the metrics of HEAD were not made from its code and parameters, or, with MARGIN=0.005, are worse
	@$(BIN)/python -m segcore gate $${MARGIN:+--not-worse --margin "$$MARGIN"} $${BASE:+-- "$$BASE"}

submission: install  ## pack the test predictions for IDD-Lite's organisers, in data/submission.zip
	@$(BIN)/python -m segcore submission

lint: install  ## check style, types and layers
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo --no-cache

format: install  ## apply style
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

reference: install  ## write docs/reference.md from the code
	$(BIN)/python -m tools.reference

UV := uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
    --custom-compile-command "make lock"

lock:  ## renew both locks (needs uv)
	$(UV) --group dev --extra video pyproject.toml -o requirements.lock
	$(UV) --group remotes -c requirements.lock -o requirements-remotes.lock

clean:  ## remove .venv and caches; DVC's outputs and cache stay
	rm -rf .venv .coverage .hypothesis .pytest_cache .ruff_cache
