import { expect } from 'chai';
import { toWireName, type WireName } from '#signalbox/wire/messages.js';

const names = {
  list: 'list',
  createMessage: 'create_message',
  subscribeToMessagesInRoom: 'subscribe_to_messages_in_room',
  exportCSV: 'export_csv',
  exportCSV2: 'export_csv2',
  parseHTMLPage: 'parse_html_page',
  page2Of: 'page2_of',
  already_snake: 'already_snake',
} as const;

/** The type says the same. */
names satisfies { readonly [Member in keyof typeof names]: WireName<Member> };

describe('The name of a member on the wire', () => {
  for (const [member, name] of Object.entries(names)) {
    it(`is ${name} for ${member}`, () => expect(toWireName(member)).to.equal(name));
  }
});
