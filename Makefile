# Every target sets up what it needs. `make` prints what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run demo dev test browser screenshots fuzz chaos soak bench postman lint fmt clean

help: ## Print this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */\1\t/' | while IFS=$$'\t' read -r name what; do printf '  make %-11s %s\n' "$$name" "$$what"; done

run: ## Build and run the relay with its dashboard for development: SQLite in ./data, local receivers allowed
	@scripts/run.sh

demo: ## Watch a relay at work: live traffic and five receivers of its own, good and bad
	@scripts/run.sh demo

dev: ## Run the relay, and the dashboard with hot reload in front of it (http://localhost:5173/ui/)
	@scripts/dev.sh

test: ## Run all tests on throw-away Postgres and Redis servers (ARGS="..." goes to cargo test, and leaves the browser out)
	@scripts/test.sh $(ARGS)

browser: ## Run the dashboard's tests in a browser alone (ARGS="..." goes to playwright test)
	@scripts/browser.sh $(ARGS)

screenshots: ## Take pictures of every page of the dashboard into dashboard/screenshots (README=1 makes the README's anew)
	@scripts/screenshots.sh $(ARGS)

fuzz: ## Hold the API against its description for longer (SEED=, EXAMPLES=, ONLY=, PROFILE=)
	@scripts/fuzz.sh

chaos: ## Break everything around the relay for a while (SEED=, MINUTES= or ROUNDS=, FAULT=)
	@scripts/chaos.sh

soak: ## Watch the relay's memory under a steady load (MINUTES=10)
	@FAULT=soak scripts/chaos.sh

bench: ## Measure the release beside its floor (SCENARIO=list names what there is; docs/performance.md)
	@scripts/bench.sh

postman: ## Make the Postman collection and dashboard/openapi.json anew from the API's description
	@scripts/postman.sh

lint: ## Check formatting, clippy, the dashboard, the browser tests, licences and the scripts' syntax
	@scripts/lint.sh

fmt: ## Format the Rust code
	@cargo fmt --all

clean: ## Remove what was built (the data in ./data stays)
	@cargo clean
	@rm -rf dashboard/dist dashboard/node_modules tests/browser/node_modules tests/browser/results
