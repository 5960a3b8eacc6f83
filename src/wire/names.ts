/** The name of a member on the wire: `subscribeInstance` -> `subscribe_instance`, `exportCSV2` -> `export_csv2`. */
export function toWireName(member: string): string {
  return member.replace(/[a-z0-9](?=[A-Z])|[A-Z](?=[A-Z][a-z])/g, '$&_').toLowerCase();
}

/** The name on the wire as a type: `WireName<'exportCSV2'>` is `'export_csv2'`. */
export type WireName<Member extends string, Before extends string = ''> = Member extends `${infer First}${infer Rest}`
  ? `${BeginsWord<Before, First, Rest> extends true ? '_' : ''}${Lowercase<First>}${WireName<Rest, First>}`
  : '';

type BeginsWord<Before extends string, First extends string, Rest extends string> =
  IsUpper<First> extends false
    ? false
    : IsUpper<Before> extends true
      ? Rest extends `${infer Next}${string}`
        ? IsLower<Next>
        : false
      : Before extends Digit
        ? true
        : IsLower<Before>;

type Digit = `${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`;
type IsUpper<Letter extends string> = Letter extends Lowercase<Letter> ? false : true;
type IsLower<Letter extends string> = Letter extends Uppercase<Letter> ? false : true;
