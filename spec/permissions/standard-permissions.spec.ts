import { expect } from 'chai';
import { ActionContext, AllowAny, IsAuthenticated, Scope } from 'signalbox';
import { container } from 'tsyringe';

function contextOf(user: unknown): ActionContext {
  const scope = new Scope({ url: '/', headers: {} }, {}, container);
  scope.user = user;
  return new ActionContext({ scope, action: 'a', requestId: 1, kwargs: {}, signal: new AbortController().signal });
}

describe('IsAuthenticated', () => {
  for (const user of [undefined, null]) {
    it(`refuses at connect and at an action while the user is ${user}`, () => {
      expect(new IsAuthenticated().canConnect(contextOf(user).scope)).to.equal(false);
      expect(new IsAuthenticated().hasPermission(contextOf(user))).to.equal(false);
    });
  }

  for (const user of [{ id: 1 }, 'ann', 0]) {
    it(`passes once the user is ${JSON.stringify(user)}`, () => {
      expect(new IsAuthenticated().canConnect(contextOf(user).scope)).to.equal(true);
      expect(new IsAuthenticated().hasPermission(contextOf(user))).to.equal(true);
    });
  }
});

describe('AllowAny', () => {
  it('lets every client pass', () => {
    expect(new AllowAny().canConnect()).to.equal(true);
    expect(new AllowAny().hasPermission()).to.equal(true);
  });
});
