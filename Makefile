PYTHON ?= python3
BIN := .venv/bin
# One file for both set-up commands. It is called `installing` until everything is in, so an
# interrupted install can neither pass for a finished one nor be built upon.
STAMP := .venv/installed
# Its settings keep JupyterLab from asking whether it may fetch news.
LAB := $(BIN)/jupyter lab --LabApp.app_settings_dir=$(CURDIR)/book/lab

# What the processor is called, on Linux, on a Mac, or elsewhere only its kind.
CPU = $$(sed -n 's/^model name.*: //p' /proc/cpuinfo 2>/dev/null | head -n 1 | grep . || \
    sysctl -n machdep.cpu.brand_string 2>/dev/null || uname -m)

.PHONY: help book site race weights chapters lab learn student nbgrader slides pdf grade test fuzz test-slurm format clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# PASSIVE: threads that wait for one another sleep instead of spinning. On a machine that does anything
# else at the same time, spinning was seen to make a training step eighty times slower.
book: $(STAMP)  ## set up, train and compare the models on this machine, build the book
	OMP_WAIT_POLICY=PASSIVE $(BIN)/nanoparadigm compare --dataset language --out runs/compare --overwrite
	@$(MAKE) --no-print-directory site

site: $(STAMP)  ## build the book from the last comparison, or without one
	@mkdir -p book/_fresh
	@if [ -f runs/compare/table.md ] && [ -f runs/compare/figure.png ]; then \
	    cp runs/compare/figure.png book/_fresh/; \
	    { printf 'Trained on %s, on %s with %s cores.\n\n' "$$(date -r runs/compare/table.md +%F)" \
	        "$(CPU)" "$$(getconf _NPROCESSORS_ONLN)"; \
	      cat runs/compare/table.md; printf '\n![%s](_fresh/figure.png)\n' \
	      'Bits per character against tokens read and against seconds, a curve for each model, above the level lines of the best predictions with little memory and of the entropy.'; } > book/_fresh/run.md; \
	else \
	    echo 'Nothing has been compared on this machine yet: `make book` does it.' > book/_fresh/run.md; \
	fi
	$(BIN)/python book/assets.py
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "The book: file://$(CURDIR)/_build/html/index.html"

race: $(STAMP)  ## record the race of the front page anew, from the last comparison
	$(BIN)/python book/front.py

weights: $(STAMP)  ## train the models that come with the package anew, some hours
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python benchmarks/weights.py

chapters: $(STAMP)  ## execute the chapters whose text has changed, and renew the copies in student/
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python book/chapters.py
	$(BIN)/python book/student.py --publish

lab: $(STAMP)  ## edit the book itself in JupyterLab: what is saved there is saved as text too
	$(LAB) book

learn: student  ## open the chapters without their solutions in JupyterLab
	$(LAB) build/student/start.ipynb

student: $(STAMP)  ## build/student/: the chapters without their solutions; with SEED=17 or NAMES=class.txt private ones
	$(BIN)/python book/student.py $(if $(SEED),--seed $(SEED)) $(if $(NAMES),--names "$(NAMES)")

nbgrader: $(STAMP)  ## build/nbgrader/: the chapters as a course for nbgrader; SEED=4711 draws the hidden tests
	$(BIN)/python book/nbgrader_export.py $(if $(SEED),--seed $(SEED))

slides: $(STAMP)  ## build/slides/: a deck for each chapter, to teach with, which needs no network
	$(BIN)/python book/slides.py

pdf: $(STAMP)  ## build/nanoparadigm.pdf: the whole book, printed by Chromium from the site that is built
	$(BIN)/python book/pdf.py

grade: $(STAMP)  ## which exercises are right in notebooks handed in: make grade FILES='in/*.ipynb'
	$(BIN)/nanoparadigm grade $(FILES)

# Two workers already fill two cores: more threads in each only make them wait for one another.
test: $(STAMP)  ## set up, then everything the continuous integration checks
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python book/assets.py
	$(BIN)/python book/slides.py
	TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --nbval \
	    --nbval-sanitize-with tests/nbval.ini tests book

fuzz: $(STAMP)  ## twenty thousand hostile inputs, some half an hour
	OMP_NUM_THREADS=1 $(BIN)/python tests/hostile/run.py --cases 20000

test-slurm: $(STAMP)  ## a study on a SLURM cluster of this one machine (Debian), some four minutes
	tests/studies/slurm.sh

format: $(STAMP)  ## let ruff mend and lay out the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:  ## remove what a build leaves behind; runs/, build/ and .venv/ stay
	rm -rf _build book/_fresh book/_static *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find nanoparadigm tests -name __pycache__ -exec rm -rf {} +

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo '$(PYTHON) is not Python 3.11 or newer: name one that is, as in `make PYTHON=python3.12 book`.'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo '$(PYTHON) cannot make virtual environments: install its venv module (python3-venv on Debian and Ubuntu).'; exit 1; }
	@if [ -e .venv/installing ]; then rm -rf .venv; fi
	$(PYTHON) -m venv .venv
	@rm -f $@ && touch .venv/installing
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps -e .
	@mv .venv/installing $@
