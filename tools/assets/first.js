// The Omniglot chapter's live network in a small form, on the first page.
enliven(render, lone({ ...STATE, small: true }), document.getElementById("live"));
