import { expect } from 'chai';
import { toWireName } from '#signalbox/wire/names.js';

describe('The name of a member on the wire', () => {
  for (const [member, name] of [
    ['list', 'list'],
    ['createMessage', 'create_message'],
    ['subscribeToMessagesInRoom', 'subscribe_to_messages_in_room'],
    ['exportCSV', 'export_csv'],
    ['exportCSV2', 'export_csv2'],
    ['parseHTMLPage', 'parse_html_page'],
    ['page2Of', 'page2_of'],
    ['already_snake', 'already_snake'],
  ] as const) {
    it(`is ${name} for ${member}`, () => expect(toWireName(member)).to.equal(name));
  }
});
