/**
 * Dates as HTTP writes them (RFC 9110, section 5.6.7): one form is written, three are read, and
 * nothing else is. `Date.parse` would take much more, and differs between platforms.
 */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTH = `(?<month>${MONTHS.join("|")})`;
const TIME = String.raw`(?<hours>[01]\d|2[0-3]):(?<minutes>[0-5]\d):(?<seconds>[0-5]\d|60)`;
const DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";

const FORMS: readonly RegExp[] = [
  String.raw`${DAY}, (?<day>\d\d) ${MONTH} (?<year>\d{4}) ${TIME} GMT`,
  String.raw`${LONG_DAY}, (?<day>\d\d)-${MONTH}-(?<year>\d\d) ${TIME} GMT`,
  String.raw`${DAY} ${MONTH} (?<day>[ \d]\d) ${TIME} (?<year>\d{4})`,
].map((form) => new RegExp(`^${form}$`));

/** Writes a moment, in milliseconds since 1970; what is less than a second is left out. */
export function formatHttpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

/**
 * Reads a date: milliseconds since 1970, or `undefined` for what is none.
 *
 * @param now The present, for years of two digits: they lie at most 50 years ahead
 */
export function parseHttpDate(text: string, now: number): number | undefined {
  for (const form of FORMS) {
    const { year, month, day, hours, minutes, seconds } = form.exec(text)?.groups ?? {};
    if (year === undefined) continue;
    const midnight = Date.UTC(
      year.length === 2 ? fullYear(Number(year), now) : Number(year),
      MONTHS.indexOf(month ?? ""),
      Number(day),
    );
    if (new Date(midnight).getUTCDate() !== Number(day)) return undefined;
    // A leap second is the first one of the next minute.
    return midnight + 1000 * (Number(seconds) + 60 * (Number(minutes) + 60 * Number(hours)));
  }
  return undefined;
}

function fullYear(year: number, now: number): number {
  const present = new Date(now).getUTCFullYear();
  const full = present - present % 100 + year;
  return full > present + 50 ? full - 100 : full;
}
