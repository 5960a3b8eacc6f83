import { expect } from 'chai';
import { FrameSizes } from '#signalbox/server/outbound-queue.js';

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
