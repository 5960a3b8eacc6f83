import { expect } from 'chai';
import { FrameSizes, type Latest, OutboundQueue } from '#signalbox/server/outbound-queue.js';

function latest(key: string, action: string, data: string): Latest {
  return { key, action, as: (other) => `${other} ${key} ${data}` };
}

/** Bytes that a waiting frame counts beside its text. */
const around = 160;

describe('The queue of a slow reader', () => {
  let queue: OutboundQueue;
  const sizes = new FrameSizes();

  beforeEach(() => {
    queue = new OutboundQueue();
  });

  const push = (data: string, at = 0): void => queue.push({ data, bytes: data.length, at });
  const tell = (key: string, action: string, data: string): void => {
    const event = latest(key, action, data);
    const text = event.as(action);
    if (!queue.conflate({ data: text, latest: event }, sizes))
      queue.push({ data: text, bytes: text.length, at: 0, latest: event });
  };
  const drain = (): unknown[] => {
    const texts: unknown[] = [];
    for (let frame = queue.shift(); frame; frame = queue.shift()) texts.push(frame.data);
    return texts;
  };

  it('gives frames in their order, and counts their bytes', () => {
    push('one', 5);
    push('three', 6);
    expect(queue.bytes).to.equal(8 + 2 * around);
    expect(queue.oldest).to.equal(5);
    expect(drain()).to.deep.equal(['one', 'three']);
    expect(queue.bytes).to.equal(0);
    expect(queue.oldest).to.equal(undefined);
    expect(queue.isEmpty).to.equal(true);
  });

  const stories: readonly [string, readonly [string, string][], readonly string[]][] = [
    [
      'updates to the last one',
      [
        ['update', '1'],
        ['update', '2'],
        ['update', '3'],
      ],
      ['update row 3'],
    ],
    [
      'a create and updates to a create with the last data',
      [
        ['create', '1'],
        ['update', '2'],
        ['update', '3'],
      ],
      ['create row 3'],
    ],
    [
      'an update and a delete to the delete',
      [
        ['update', '1'],
        ['delete', ''],
      ],
      ['delete row '],
    ],
    [
      'a create and a delete to the delete, which is never lost',
      [
        ['create', '1'],
        ['delete', ''],
      ],
      ['delete row '],
    ],
    [
      'nothing across a delete',
      [
        ['delete', ''],
        ['create', '2'],
        ['update', '3'],
      ],
      ['delete row ', 'create row 3'],
    ],
  ];
  for (const [what, events, texts] of stories) {
    it(`conflates ${what}`, () => {
      for (const [action, data] of events) tell('row', action, data);
      expect(drain()).to.deep.equal(texts);
    });
  }

  it('conflates no two rows, and keeps the place of each', () => {
    tell('a', 'update', '1');
    push('a reply');
    tell('b', 'update', '1');
    tell('a', 'update', '22');
    expect(queue.bytes).to.equal('update a 22'.length + 'a reply'.length + 'update b 1'.length + 3 * around);
    expect(drain()).to.deep.equal(['update a 22', 'a reply', 'update b 1']);
  });

  it('conflates nothing with what has left', () => {
    tell('a', 'update', '1');
    expect(queue.shift()?.data).to.equal('update a 1');
    tell('a', 'update', '2');
    expect(drain()).to.deep.equal(['update a 2']);
  });

  it('forgets everything', () => {
    tell('a', 'update', '1');
    queue.clear();
    expect(queue.bytes).to.equal(0);
    tell('a', 'update', '2');
    expect(drain()).to.deep.equal(['update a 2']);
  });
});

describe('The size of a frame', () => {
  const sizes = new FrameSizes();

  it('is that of its text in UTF-8', () => {
    expect(sizes.of('one')).to.equal(3);
    expect(sizes.of('né')).to.equal(3);
    expect(sizes.of(new Uint8Array(5))).to.equal(5);
  });

  it('is the same where it is told which part others have as well', () => {
    const body = JSON.stringify({ text: 'für alle' });
    expect(sizes.of(`{"data":${body}}`, body)).to.equal(29);
    expect(sizes.of(`{"id":12345,"data":${body}}`, body)).to.equal(40);
    expect(sizes.of(`{"data":"für dich"}`, '"für dich"')).to.equal(20);
    expect(sizes.of(`{"data":null,"errors":["für dich"]}`, 'null')).to.equal(36);
  });
});
