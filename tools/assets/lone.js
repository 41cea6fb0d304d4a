/** A widget's model without a kernel: the part of ipywidgets' interface that widgets use. */
function lone(values) {
  const listeners = [];
  return {
    get: (name) => values[name],
    set: (name, value) => {
      const changes = typeof name === "string" ? { [name]: value } : name;
      const changed = Object.keys(changes).filter((each) => values[each] !== changes[each]);
      Object.assign(values, changes);
      for (const each of changed) for (const [event, hear] of [...listeners]) if (event === `change:${each}`) hear();
    },
    on: (event, hear) => listeners.push([event, hear]),
    off: (event, hear) => {
      const at = listeners.findIndex(([e, h]) => e === event && h === hear);
      if (at >= 0) listeners.splice(at, 1);
    },
    save_changes: () => {},
  };
}

/** Draw a widget in its first frame's place; what it has yet to compute is as in the first frame.
 * Returns its element. */
function enliven(render, model, still) {
  const el = still.cloneNode(false);
  delete el.dataset.still;
  render({ model, el });
  const [before, now] = [still, el].map((each) => [...(each.firstElementChild?.children ?? [])]);
  now.forEach((part, i) => part.hasChildNodes() || part.replaceChildren(...(before[i]?.childNodes ?? [])));
  still.replaceWith(el);
  return el;
}
