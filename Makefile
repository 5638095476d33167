# The commands of this repository; `make` alone lists them.
# Variables: PYTHON (3.11 or newer), DEMO_FLAGS, TEST_FLAGS, XLA_TEST_FLAGS, BENCH_FLAGS, PHOTOS.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
XLA_VENV := .venv-xla
XLA_STAMP := $(XLA_VENV)/.installed
DEMO_FLAGS ?=
BENCH_FLAGS ?=
XLA_TEST_FLAGS ?=
TEST_FLAGS ?= -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo test xla test-xla check docs real bench bench-clean bench-train bench-models

help: ## list the commands | lister les commandes
	@case "$${PLANTSET_LANG:-$${LC_ALL:-$$LANG}}" in fr*) column=2 ;; *) column=1 ;; esac; \
	awk -v column=$$column -F ' ## ' '/^[a-z-]+:.* ## / { split($$1, name, ":"); split($$2, text, " [|] "); \
		printf "  make %-11s %s\n", name[1], text[column] }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## make .venv with the tested versions (seconds when nothing changed) | créer .venv avec les versions testées (quelques secondes si rien n'a changé)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed"; \
		echo "fix:   install Python 3.11 or newer, or: make setup PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1), 3.11 or newer is needed"; \
		echo "fix:   make setup PYTHON=python3.12"; exit 2; }
	@test -x $(PY) || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV) || { \
		echo "fix:   on Debian and Ubuntu: sudo apt install python3-venv"; rm -rf $(VENV); exit 2; }; }
	@echo "installing the tested versions; the first time downloads PyTorch and takes minutes"
	$(PY) -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

demo: setup ## see everything work on made-up leaves, in minutes | tout voir fonctionner sur des feuilles simulées, en quelques minutes
	$(PY) -m plantset demo $(DEMO_FLAGS)

test: setup ## run the tests | lancer les tests
	OMP_NUM_THREADS=1 $(PY) -m pytest $(TEST_FLAGS)

xla: $(XLA_STAMP) ## make .venv-xla, which computes a TPU's programs on this CPU (Linux; 7 GB) | créer .venv-xla, qui calcule les programmes d'un TPU sur ce processeur (Linux ; 7 Go)

# torch_xla needs torch 2.9, so it cannot share an environment with the tested versions of the rest
$(XLA_STAMP): pyproject.toml constraints-xla.txt
	@test -x $(XLA_VENV)/bin/python || $(PYTHON) -m venv $(XLA_VENV)
	$(XLA_VENV)/bin/python -m pip install --disable-pip-version-check --constraint constraints-xla.txt \
		--editable '.[s3,shards]' torch_xla pytest 'moto[server]'
	@touch $(XLA_STAMP)

test-xla: xla ## run the tests of XLA, on 1, 4 and 8 devices that this CPU stands for | lancer les tests de XLA, sur 1, 4 et 8 appareils simulés par ce processeur
	OMP_NUM_THREADS=1 $(XLA_VENV)/bin/python -m pytest $(XLA_TEST_FLAGS) tests/xla

check: setup ## format, rules, types and docs | format, règles, types et documentation
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) docs/generate.py --check
	$(PY) -m pytest tests/test_docs.py tests/test_layers.py

docs: setup ## write docs/commands.*.md from the flags | écrire docs/commands.*.md à partir des options
	$(PY) docs/generate.py

ifneq ($(filter real,$(MAKECMDGOALS)),)
ifndef PHOTOS
$(error PHOTOS is not given: make real PHOTOS=/path/to/photos (a folder with manifest.csv))
endif
endif

real: setup ## train and judge on real photos: make real PHOTOS=dir | entraîner et juger sur de vraies photos : make real PHOTOS=dossier
	$(PY) benchmarks/real.py "$(PHOTOS)"

ASKING := real infer explain prefix_captioner  # for photos, a model or a package of yours: see their first lines

bench: setup ## measure against other tools | mesurer face à d'autres outils
	@for file in $(filter-out $(ASKING:%=benchmarks/%.py),$(wildcard benchmarks/*.py)); do \
		echo "== $$file"; $(PY) $$file || exit 1; done

bench-clean: setup ## measure cleaning: its limit, other tools, growth | mesurer le nettoyage : sa limite, d'autres outils, la croissance
	$(PY) benchmarks/clean.py

bench-models: setup ## compare the presets: make bench-models [MODELS_FLAGS="--manifest FILE --seeds 0 1 2"] | comparer les préréglages : make bench-models [MODELS_FLAGS="--manifest FICHIER --seeds 0 1 2"]
	$(PY) benchmarks/models.py $(MODELS_FLAGS)

bench-train: setup ## measure training: the loop, other trainers, the cache | mesurer l'entraînement : la boucle, d'autres outils, le cache
	$(PY) benchmarks/train.py $(BENCH_FLAGS)
