"""The paper's figures and tables, each a function from frozen settings to tidy rows."""
