import { expect } from 'chai';
import { eventFor } from '#signalbox/consumers/event-delivery.js';

const red = ['red', 'pink'];

describe('What a change means to a listener', () => {
  for (const { title, before, after, event } of [
    { title: 'a row that comes into a group is a create', before: [], after: ['red'], event: 'create' },
    { title: 'a row that moves in from another group is a create', before: ['blue'], after: ['red'], event: 'create' },
    { title: 'a row that stays in a group is an update', before: ['red'], after: ['red'], event: 'update' },
    { title: 'a row that moves between two groups of one listener', before: ['red'], after: ['pink'], event: 'update' },
    { title: 'a row that moves out to another group is a delete', before: ['red'], after: ['blue'], event: 'delete' },
    { title: 'a row that is gone is a delete', before: ['red'], after: [], event: 'delete' },
    { title: 'a row that was and is elsewhere is nothing', before: ['blue'], after: ['blue'], event: undefined },
    { title: 'a row in no group at all is nothing', before: [], after: [], event: undefined },
  ]) {
    it(title, () => expect(eventFor(red, before, after)).to.equal(event));
  }
});
