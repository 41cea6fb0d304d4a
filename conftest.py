pytest_plugins = ["tools.nbval_plugin"]
