"""One TOML file a study or published figure."""
