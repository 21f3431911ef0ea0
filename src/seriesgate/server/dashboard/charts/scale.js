/** Axes that people can read. */

/**
 * Give round values from 0 to at least `most`, the last one being the top of the axis.
 * @param {number} most
 * @param {number} [steps] about so many
 * @returns {number[]}
 */
export function ticks(most, steps = 4) {
  if (most <= 0) {
    return [0, 1];
  }
  const rough = most / steps;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5].map((each) => each * power).find((each) => each >= rough) ?? 10 * power;
  const found = [0];
  for (let top = 0; top < most; ) {
    top = Number((found.length * step).toPrecision(12));
    found.push(top);
  }
  return found;
}

/**
 * Give which of the points get a label on the time axis: those on round times, not too many.
 * @param {Date[]} times evenly spaced
 * @param {number} room how many labels fit
 * @returns {number[]} their positions
 */
export function labelled(times, room) {
  const minutes = (times[times.length - 1].getTime() - times[0].getTime()) / 60000;
  const step =
    [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440].find((each) => minutes / each <= room) ?? 2880;
  return times.flatMap((time, position) => {
    const ofDay = time.getHours() * 60 + time.getMinutes();
    return ofDay % Math.min(step, 1440) === 0 ? [position] : [];
  });
}
