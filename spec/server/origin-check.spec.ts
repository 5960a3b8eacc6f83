import { expect } from 'chai';
import { PermissionDenied } from 'signalbox';
import { checkOrigin } from '#signalbox/server/handshake.js';

type Origins = 'same' | 'any' | readonly string[];

/** Scheme and host have no case (RFC 6454, 4); a header that is more than an origin, or several, is none (6.2). */
const list = ['https://example.org', 'http://localhost:8080'];

describe('The check of the origin', () => {
  const table: readonly [boolean, Origins, string | undefined, string | undefined][] = [
    [true, 'same', undefined, 'example.org'],
    [true, 'same', 'https://example.org', 'example.org'],
    [true, 'same', 'http://example.org', 'example.org'],
    [true, 'same', 'https://example.org', 'example.org:443'],
    [true, 'same', 'http://example.org', 'example.org:80'],
    [true, 'same', 'http://localhost:8000', 'localhost:8000'],
    [true, 'same', 'http://[::1]:8000', '[::1]:8000'],
    [true, 'same', 'https://Example.ORG', 'example.org'],
    [true, 'same', 'https://example.org', 'EXAMPLE.org'],
    [false, 'same', 'https://other.org', 'example.org'],
    [false, 'same', 'https://www.example.org', 'example.org'],
    [false, 'same', 'http://localhost:8001', 'localhost:8000'],
    [false, 'same', 'http://localhost', 'localhost:8000'],
    [false, 'same', 'http://example.org', 'example.org:443'],
    [false, 'same', 'https://example.org.evil.org', 'example.org'],
    [false, 'same', 'https://evilexample.org', 'example.org'],
    [false, 'same', 'https://example.org@evil.org', 'example.org'],
    [false, 'same', 'https://evil.org/example.org', 'example.org'],
    [false, 'same', 'https://example.org/', 'example.org'],
    [false, 'same', 'https://example.org?', 'example.org'],
    [false, 'same', 'https://example.org\\', 'example.org'],
    [false, 'same', 'null', 'example.org'],
    [false, 'same', 'null', 'null'],
    [false, 'same', '', 'example.org'],
    [false, 'same', 'example.org', 'example.org'],
    [false, 'same', 'file://example.org', 'example.org'],
    [false, 'same', 'chrome-extension://example.org', 'example.org'],
    [false, 'same', 'https://example.org, https://evil.org', 'example.org'],
    [false, 'same', 'https://example.org', undefined],
    [false, 'same', 'https://example.org', 'exa mple'],
    [true, 'any', 'https://evil.org', 'example.org'],
    [true, 'any', 'null', 'example.org'],
    [true, list, undefined, 'example.org'],
    [true, list, 'https://example.org', 'api.example.org'],
    [true, list, 'http://localhost:8080', 'api.example.org'],
    [false, list, 'http://example.org', 'example.org'],
    [false, list, 'https://example.org:8443', 'example.org'],
    [false, list, 'https://example.org.evil.org', 'example.org'],
    [true, list, 'https://EXAMPLE.org', 'example.org'],
    [true, list, 'HTTPS://example.org:443', 'example.org'],
    [false, list, 'https://example.org/', 'example.org'],
    [false, list, 'https://example.org, http://localhost:8080', 'example.org'],
    [false, list, 'https://example.org,https://example.org', 'example.org'],
    [false, list, 'null', 'example.org'],
    [false, [], 'https://example.org', 'example.org'],
  ];
  for (const [passes, origins, origin, host] of table) {
    it(`${passes ? 'passes' : 'refuses'} ${origin ?? 'no origin'} at ${host ?? 'no host'} where ${JSON.stringify(origins)} may connect`, () => {
      const check = (): void => checkOrigin({ url: '/', headers: { origin, host } }, origins);
      if (passes) check();
      else expect(check).to.throw(PermissionDenied, 'This page may not connect here.');
    });
  }

  it('takes a page without TLS for another origin where the client came over TLS', () => {
    const check = (origin: string): void =>
      checkOrigin({ url: '/', headers: { origin, host: 'example.org' }, encrypted: true }, 'same');
    check('https://example.org');
    expect(() => check('http://example.org')).to.throw(PermissionDenied);
  });
});
