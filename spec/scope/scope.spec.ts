import { expect } from 'chai';
import { type HandshakeRequest, Scope } from 'signalbox';
import { container } from 'tsyringe';

function scopeOf(request: Partial<HandshakeRequest>, params: Record<string, string> = {}): Scope {
  return new Scope({ url: '/', headers: {}, ...request }, params, container.createChildContainer());
}

describe('A scope', () => {
  it('has the facts of the handshake', () => {
    const headers = { 'user-agent': 'spec', 'x-forwarded-for': ['10.0.0.1', '10.0.0.2'] };
    const scope = scopeOf(
      { url: '/ws/rooms/4/?page=2&tag=a&tag=b', headers, remoteAddress: '127.0.0.1' },
      { room: '4' },
    );
    expect(scope.path).to.equal('/ws/rooms/4/');
    expect(scope.params).to.deep.equal({ room: '4' });
    expect(scope.query.get('page')).to.equal('2');
    expect(scope.query.getAll('tag')).to.deep.equal(['a', 'b']);
    expect(scope.headers).to.equal(headers);
    expect(scope.remoteAddress).to.equal('127.0.0.1');
  });

  it('has no user, no session and no identity until a middleware sets them', () => {
    const scope = scopeOf({});
    expect(scope.user).to.equal(undefined);
    expect(scope.session).to.equal(undefined);
    expect(scope.identity).to.equal(undefined);
    scope.user = { id: 1 };
    scope.session = { key: 'k' };
    expect(scope).to.deep.include({ user: { id: 1 }, session: { key: 'k' } });
  });

  const cookies: readonly [string, string | string[] | undefined, Record<string, string>][] = [
    ['no header', undefined, {}],
    ['an empty header', '', {}],
    ['one', 'session=abc', { session: 'abc' }],
    ['several', 'a=1; b=2;c=3', { a: '1', b: '2', c: '3' }],
    ['an equals sign in a value', 'token=a=b==', { token: 'a=b==' }],
    ['an empty value', 'a=; b=2', { a: '', b: '2' }],
    ['quotes', 'a="quoted"; b="half', { a: 'quoted', b: '"half' }],
    ['percent signs', 'a=%C3%A4%20; b=100%', { a: 'ä ', b: '100%' }],
    ['the same name twice', 'a=first; a=second', { a: 'first' }],
    ['a name alone', 'alone; b=2', { b: '2' }],
    ['a value alone', '=value; b=2', { b: '2' }],
    ['stray semicolons', ';;a=1;;', { a: '1' }],
    ['spaces around', '  a  =  1  ; b = 2 ', { a: '1', b: '2' }],
    ['several headers', ['a=1', 'b=2'], { a: '1', b: '2' }],
    ['names of Object.prototype', 'toString=1; constructor=2', { toString: '1', constructor: '2' }],
    ['an escape that no database takes', 'a=%00; b=1', { a: '%00', b: '1' }],
  ];
  for (const [name, cookie, expected] of cookies) {
    it(`reads cookies: ${name}`, () => {
      expect({ ...scopeOf({ headers: { cookie } }).cookies }).to.deep.equal(expected);
    });
  }

  it('has no cookies that the client did not send', () => {
    const sent = scopeOf({ headers: { cookie: '__proto__=1' } }).cookies;
    expect(sent['toString']).to.equal(undefined);
    expect(Object.keys(sent)).to.deep.equal(['__proto__']);
  });
});
