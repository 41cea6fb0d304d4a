/** A widget's model without a kernel. */
function lone(values) {
  const listeners = [];
  return {
    get: (name) => values[name],
    set: (name, value) => {
      values[name] = value;
      listeners.forEach(([event, hear]) => event === `change:${name}` && hear());
    },
    on: (event, hear) => listeners.push([event, hear]),
    off: () => {},
    save_changes: () => {},
  };
}
