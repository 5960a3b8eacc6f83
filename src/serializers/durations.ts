/** A duration as PostgreSQL stores it, with its parts separate. */
interface Duration {
  readonly years?: number;
  readonly months?: number;
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly milliseconds?: number;
}

const iso =
  /^P(?=[-\d]|T)(?:(-?\d{1,8})Y)?(?:(-?\d{1,8})M)?(?:(-?\d{1,8})W)?(?:(-?\d{1,8})D)?(?:T(?=[-\d])(?:(-?\d{1,8})H)?(?:(-?\d{1,8})M)?(?:(-?\d{1,8}(?:\.\d{1,6})?)S)?)?$/;

/** `P1Y14M2DT90M` -> `2 years 2 mons 2 days 01:30:00`, as PostgreSQL writes it; undefined if the text is no ISO 8601 duration. */
export function storedDuration(text: string): string | undefined {
  const parts = iso.exec(text);
  if (!parts) return undefined;
  const [years = 0, months = 0, weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts
    .slice(1)
    .map((part) => Number(part ?? 0));
  const allMonths = years * 12 + months;
  const time = timeText((hours * 60 + minutes) * 60_000_000 + Math.round(seconds * 1_000_000));
  const words = [
    inWords(Math.trunc(allMonths / 12), 'year'),
    inWords(allMonths % 12, 'mon'),
    inWords(weeks * 7 + days, 'day'),
    time,
  ].filter(Boolean);
  return words.length > 0 ? words.join(' ') : '00:00:00';
}

function inWords(amount: number, unit: string): string {
  return amount === 0 ? '' : `${amount} ${unit}${amount === 1 ? '' : 's'}`;
}

function timeText(microseconds: number): string {
  if (microseconds === 0) return '';
  const all = Math.abs(microseconds);
  const two = (amount: number): string => String(Math.trunc(amount)).padStart(2, '0');
  const fraction = String(all % 1_000_000)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const sign = microseconds < 0 ? '-' : '';
  const seconds = all / 1_000_000;
  return `${sign}${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}${fraction && `.${fraction}`}`;
}

/**
 * `P1Y2M-3DT-4H-5M-6.7S`, without the parts that are 0.
 *
 * @param value PostgreSQL's text, or the object that MikroORM's `IntervalType` makes of it
 */
export function isoDuration(value: unknown): string {
  const parts: Duration = typeof value === 'string' ? durationOf(value) : Object(value);
  const { years, months, days, hours, minutes, seconds = 0, milliseconds = 0 } = parts;
  const dates = part(years, 'Y') + part(months, 'M') + part(days, 'D');
  const times = part(hours, 'H') + part(minutes, 'M') + part(seconds + milliseconds / 1000, 'S');
  if (dates === '' && times === '') return 'PT0S';
  return `P${dates}${times && `T${times}`}`;
}

/** Parses PostgreSQL's text. The sign of a time applies to all its parts. */
function durationOf(text: string): Duration {
  const amount = (unit: string): number => Number(new RegExp(`(-?\\d+) ${unit}`).exec(text)?.[1] ?? 0);
  const [, sign = '', hours = 0, minutes = 0, seconds = 0] = /([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?)/.exec(text) ?? [];
  const signed = (amount: string | number): number => (sign === '-' ? -Number(amount) : Number(amount));
  return {
    years: amount('year'),
    months: amount('mon'),
    days: amount('day'),
    hours: signed(hours),
    minutes: signed(minutes),
    seconds: signed(seconds),
  };
}

/** One part, rounded to microseconds as PostgreSQL stores them. */
function part(amount: number | undefined, unit: string): string {
  return amount ? `${Number(amount.toFixed(6))}${unit}` : '';
}
