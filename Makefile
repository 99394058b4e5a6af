# make demo   installs what is missing, builds, and answers for three models
# make test   the same, then every test
# make build  the program at build/release/bin/orrery
.PHONY: demo test build check format clean
demo test build check format clean:
	@scripts/make.sh $@
