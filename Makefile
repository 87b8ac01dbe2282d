# Thin front for meson and ninja. Everything lands in build/; the command is build/vauban.
BUILD ?= build

.PHONY: all deps demo check bench fuzz install clean
all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD) -Dbuildtype=debugoptimized

deps:
	./tools/deps

check: deps all
	./tests/run

demo: deps all
	./examples/demo

bench: deps all
	./bench/run

fuzz: deps
	./fuzz/run

install: all
	meson install -C $(BUILD) --strip

clean:
	rm -rf $(BUILD)
