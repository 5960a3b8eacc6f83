import type { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { UnitOfWork } from '#signalbox/orm/unit-of-work.js';
import { useOfflineOrm } from '../support/offline-orm.js';

describe('A unit of work', () => {
  const offline = useOfflineOrm();
  let unitOfWork: UnitOfWork;

  before(() => {
    unitOfWork = new UnitOfWork(offline.orm.em);
  });

  /** Which manager the application's means here. */
  const here = (): EntityManager => offline.orm.em.getContext(false);

  it('has a manager of its own, the same from its first use to its end', async () => {
    const seen = await unitOfWork.run(async () => {
      const first = here();
      await Promise.resolve();
      return [first, here()];
    });
    expect(seen[0]).to.equal(seen[1]);
    expect(seen[0]).not.to.equal(offline.orm.em);
    expect(await unitOfWork.run(async () => here())).not.to.equal(seen[0]);
  });

  it('makes none where no code asks for it', async () => {
    const { id } = await unitOfWork.run(async () => here());
    await unitOfWork.run(async () => {});
    expect(await unitOfWork.run(async () => here().id)).to.equal(id + 1);
  });

  it('makes none to say whether it is in a transaction', async () => {
    const { id } = await unitOfWork.run(async () => here());
    expect(await unitOfWork.run(async () => unitOfWork.isInTransaction)).to.equal(false);
    expect(await unitOfWork.run(async () => here().id)).to.equal(id + 1);
  });

  it('begins with the state of the application, and not with that of the code that runs it', async () => {
    const params = await unitOfWork.run(async () => {
      offline.orm.em.setFilterParams('tenant', { id: 1 });
      return [
        offline.orm.em.getFilterParams('tenant'),
        await unitOfWork.run(async () => offline.orm.em.getFilterParams('tenant')),
      ];
    });
    expect(params).to.deep.equal([{ id: 1 }, undefined]);
  });
});
