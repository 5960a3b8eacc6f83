const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const date = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const dateOfYear = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' });
const shortDate = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const complete = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

export function timeElement(iso: string, text: string = formatTime(iso)): HTMLTimeElement {
  const created = document.createElement('time');
  created.dateTime = iso;
  created.title = complete.format(new Date(iso));
  created.textContent = text;
  return created;
}

export function formatTime(iso: string): string {
  return time.format(new Date(iso));
}

export function isSameDay(one: string, other: string): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}

export function formatDay(iso: string, now = new Date()): string {
  const day = new Date(iso);
  if (day.toDateString() === now.toDateString()) return 'Today';
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  if (day.toDateString() === yesterday.toDateString()) return 'Yesterday';
  return (day.getFullYear() === now.getFullYear() ? date : dateOfYear).format(day);
}

/** The time for messages of today, otherwise the day. */
export function formatBriefly(iso: string): string {
  return isSameDay(iso, new Date().toISOString()) ? formatTime(iso) : shortDate.format(new Date(iso));
}
