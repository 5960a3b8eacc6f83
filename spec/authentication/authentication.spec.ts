import { expect } from 'chai';
import { Scope } from 'signalbox';
import { container } from 'tsyringe';
import { authenticate, isOver } from '#signalbox/authentication/authentication.js';

function aScope(): Scope {
  return new Scope({ url: '/', headers: {} }, {}, container.createChildContainer());
}

describe('An authentication', () => {
  it('is noted in the scope: the identity, and what was loaded with it', () => {
    const scope = aScope();
    const expiresAt = new Date('2026-01-02T00:00:00Z');
    authenticate(scope, { userId: '7', sessionId: 's', expiresAt, user: { id: 7 }, session: { key: 's' } });
    expect(scope.identity).to.deep.equal({ userId: '7', sessionId: 's', expiresAt });
    expect(scope).to.deep.include({ user: { id: 7 }, session: { key: 's' } });
  });

  it('leaves nothing of an earlier one', () => {
    const scope = aScope();
    authenticate(scope, { userId: '7', sessionId: 's', expiresAt: new Date(), user: { id: 7 }, session: {} });
    authenticate(scope, { userId: '8', sessionId: undefined });
    expect(scope.identity).to.deep.equal({ userId: '8' });
    expect(scope).to.deep.include({ user: undefined, session: undefined });
  });

  it('is over from the moment at which it expires', () => {
    const now = new Date('2026-01-01T00:00:00Z');
    expect(isOver({}, now)).to.equal(false);
    expect(isOver({ expiresAt: new Date(now.getTime() + 1) }, now)).to.equal(false);
    expect(isOver({ expiresAt: now }, now)).to.equal(true);
  });
});
