// A page opened from a file may not fetch its neighbours: the search then lists titles alone.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// docutils puts entries of a deprecated role into a list; a list has list items.
document.addEventListener("DOMContentLoaded", () => {
  for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.role = "listitem";
});

// The theme gives the arrows that open a group of pages no name.
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll("summary"))
    if (!arrow.textContent.trim()) arrow.setAttribute("aria-label", "Pages of this group");
});
