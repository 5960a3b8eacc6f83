/** The name of a member on the wire: `subscribeInstance` -> `subscribe_instance`, `exportCSV2` -> `export_csv2`. */
export function toWireName(member: string): string {
  return member.replace(/[a-z0-9](?=[A-Z])|[A-Z](?=[A-Z][a-z])/g, '$&_').toLowerCase();
}
