PYTHON ?= python3
BOOTSTRAP = $(PYTHON) deploy/bootstrap.py
.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-detect fault replay

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Set up what is missing, start everything, print the address; Ctrl-C stops it
	@$(BOOTSTRAP) run

test: ## All tests, on a real broker and a real database
	@$(BOOTSTRAP) test $(ARGS)

check: ## Format, lint, types, import contracts, proto, price book, known vulnerabilities, security lint
	@$(BOOTSTRAP) check

fault: ## Break everything on purpose and compare with the producer's books; up to 20 minutes
	@$(BOOTSTRAP) fault $(ARGS)

bench: ## Measure speed; prints ratios
	@$(BOOTSTRAP) bench $(ARGS)

bench-detect: ## Measure how well spikes are found, beside plain rules
	@$(BOOTSTRAP) bench-detect $(ARGS)

replay: ## Send a file: FILE=... TENANT=... PROVIDER=... MODEL=... SHIFT_END=...
	$(if $(FILE),,$(error Which file? make replay FILE=events.jsonl, or a CSV with TENANT=... PROVIDER=... MODEL=...))
	@$(BOOTSTRAP) replay "$(FILE)" $(if $(TENANT),--tenant "$(TENANT)") $(if $(PROVIDER),--provider "$(PROVIDER)") \
		$(if $(MODEL),--model "$(MODEL)") $(if $(SHIFT_END),--shift-end "$(SHIFT_END)") $(ARGS)
