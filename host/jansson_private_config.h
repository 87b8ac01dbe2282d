/* Everything that jansson asks for is given on its command line, see host/meson.build. */
