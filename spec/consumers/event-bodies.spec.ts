import { expect } from 'chai';
import { EventBodies } from '#signalbox/consumers/event-bodies.js';

describe('The bodies of events', () => {
  it('are decoded once for deliveries of one text that follow each other', () => {
    const bodies = new EventBodies();
    const first = bodies.of('{"id": 1}');
    expect(first).to.deep.equal({ text: '{"id": 1}', data: { id: 1 } });
    expect(bodies.of(['{"id"', ': 1}'].join(''))).to.equal(first);
    expect(bodies.of('{"id": 2}').data).to.deep.equal({ id: 2 });
  });

  it('are frozen, however deep', () => {
    const { data } = new EventBodies().of('{"tags": [{"name": "red"}], "none": null}');
    const { tags } = data as { tags: { name: string }[] };
    expect(() => tags.push({ name: 'blue' })).to.throw(TypeError);
    expect(() => Object.assign(tags[0] ?? {}, { name: 'blue' })).to.throw(TypeError);
    expect(data).to.deep.equal({ tags: [{ name: 'red' }], none: null });
  });
});
