/** Numbers, times and sizes for people: precise, of a steady width, the same in every language. */

const NUMBER = new Intl.NumberFormat("en", { useGrouping: true });
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
/** @type {[seconds: number, unit: string][]} */
const UNITS_OF_TIME = [[86400, "d"], [3600, "h"], [60, "min"]];

/** 12345 as `12,345`. @param {number} value */
export function count(value) {
  return NUMBER.format(value);
}

/**
 * A count with its noun: `1 instance`, `2 instances`; `series` has no other plural.
 * @param {number} value
 * @param {string} noun
 */
export function counted(value, noun) {
  const plural = noun.endsWith("s") ? noun : /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${count(value)} ${value === 1 ? noun : plural}`;
}

/** A size in steps of 1000, as disks are sold: 1536 as `1.5 kB`. @param {number} value */
export function bytes(value) {
  const step = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  const scaled = value / 1000 ** step;
  return `${step === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${UNITS[step]}`;
}

/** A time span: `12 ms`, `1.02 s`, `3 min 5 s`, `2 h 4 min`, `3 d 2 h`. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 0.9995) {
    return `${Math.round(seconds * 1000)} ms`;
  }
  if (seconds < 59.995) {
    return `${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  /** @type {[number, string][]} */
  const parts = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(" ");
}

/** How long ago a moment is, coarsely. @param {Date} moment @param {Date} now */
export function ago(moment, now = new Date()) {
  const seconds = (now.getTime() - moment.getTime()) / 1000;
  if (seconds < 5) {
    return "just now"; // or a little ahead: clocks differ
  }
  for (const [size, unit] of UNITS_OF_TIME) {
    if (seconds >= size) {
      return `${count(Math.floor(seconds / size))} ${unit} ago`;
    }
  }
  return `${Math.floor(seconds)} s ago`;
}

/** @param {number} value */
const two = (value) => String(value).padStart(2, "0");

/** The day in this browser's time zone: `2026-01-31`. @param {Date} moment */
export function day(moment) {
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
}

/** The time of day: `14:03:22`. @param {Date} moment */
export function clock(moment) {
  return `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
}

/** Day, and time to the millisecond. @param {Date} moment */
export function exact(moment) {
  return `${day(moment)} ${clock(moment)}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
}

/** A DICOM date (PS3.5 DA), `20260131`, as `2026-01-31`; what is none, as it is. @param {string} text */
export function dicomDate(text) {
  return text.replace(/^(\d{4})\.?(\d{2})\.?(\d{2})$/, "$1-$2-$3");
}

/** Runs of whole numbers, sorted: [1, 2, 3, 7] as [[1, 3], [7, 7]]. @param {number[]} numbers */
export function runs(numbers) {
  /** @type {[first: number, last: number][]} */
  const found = [];
  for (const number of [...new Set(numbers)].sort((one, other) => one - other)) {
    const last = found.at(-1);
    if (last && last[1] === number - 1) {
      last[1] = number;
    } else {
      found.push([number, number]);
    }
  }
  return found;
}

/** Runs as text: `1–3, 7`. @param {number[]} numbers */
export function runsAsText(numbers) {
  return runs(numbers)
    .map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`))
    .join(", ");
}
