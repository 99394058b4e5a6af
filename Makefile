# make demo   installs what is missing, builds, and answers for three models
# make test   the same, then every test
# make build  the program at build/release/bin/orrery
# make deps   the Debian packages alone, as `pip install .` needs them
.PHONY: demo test build deps check format clean
demo test build deps check format clean:
	@scripts/make.sh $@
