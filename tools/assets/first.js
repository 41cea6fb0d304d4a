// The Omniglot chapter's live network in a small form, on the first page.
render({ model: lone({ ...STATE, small: true }), el: document.getElementById("live") });
