// Samples in groups of one colour, and the centroids of labels.

/**
 * Samples in groups of one colour: one for each class, or ten steps of a number and one for those
 * without a value. Groups without members are left out.
 *
 * @param values the column's value of each sample
 * @param column {names, colors} of a column of classes
 * @param facts {ramp, grey}: the colours of the ten steps, and of samples without a value
 * @returns {groups: [{title, value, color, members}], groupOf, bounds}: the number of each sample's
 *   group; the numbers at which the steps begin and end, null for classes
 */
export function groupSamples(values, { names, colors }, { ramp, grey }) {
  const groupOf = new Int16Array(values.length);
  let groups, bounds = null;
  if (names) {
    groups = names.map((title, value) => ({ title, value, color: colors[value], members: [] }));
    values.forEach((value, i) => (groupOf[i] = value));
  } else {
    const sorted = Float32Array.from(values.filter((value) => Number.isFinite(value))).sort();
    const quantile = (share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
    bounds = [quantile(0.01), quantile(0.99)];
    const step = (bounds[1] - bounds[0]) / ramp.length || 1;
    groups = [...ramp, grey].map((color) => ({ color, members: [] }));
    values.forEach((value, i) => {
      const place = Math.floor((value - bounds[0]) / step);
      groupOf[i] = Number.isFinite(value)
        ? Math.min(Math.max(place, 0), ramp.length - 1) : ramp.length;
    });
  }
  groupOf.forEach((group, i) => groups[group].members.push(i));
  const occupied = groups.filter(({ members }) => members.length);
  occupied.forEach(({ members }, group) => members.forEach((i) => (groupOf[i] = group)));
  return { groups: occupied, groupOf, bounds };
}

/** The mean place of each label's samples: [{label, title, x, y, n}], without empty labels. */
export function labelCentroids(points, labels, names) {
  const sums = names.map(() => [0, 0, 0]);
  labels.forEach((label, i) => {
    const sum = sums[label];
    if (!Number.isFinite(points[2 * i])) return;
    sum[0] += points[2 * i];
    sum[1] += points[2 * i + 1];
    sum[2]++;
  });
  return sums.map(([x, y, n], label) => ({ label, title: names[label], x: x / n, y: y / n, n }))
    .filter(({ n }) => n);
}
