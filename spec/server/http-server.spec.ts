import { expect } from 'chai';
import { defaultLimits } from '#signalbox/limits.js';
import { socketsOnly } from '#signalbox/server/http-server.js';

describe('The server of listen', () => {
  const timesOf = (limits: object) => {
    const { headersTimeout, requestTimeout } = socketsOnly({ ...defaultLimits, ...limits }, () => false);
    return { headersTimeout, requestTimeout };
  };

  it('waits 10 s for headers and 15 s for a request', () => {
    expect(timesOf({})).to.deep.equal({ headersTimeout: 10_000, requestTimeout: 15_000 });
  });

  it('waits as long as its settings say, and for a request no shorter than for its headers', () => {
    expect(timesOf({ headersTime: 3_000, requestTime: 4_000 })).to.deep.equal({
      headersTimeout: 3_000,
      requestTimeout: 4_000,
    });
    expect(timesOf({ headersTime: 5_000, requestTime: 4_000 })).to.deep.equal({
      headersTimeout: 5_000,
      requestTimeout: 5_000,
    });
  });
});
