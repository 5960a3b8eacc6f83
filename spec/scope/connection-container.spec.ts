import { expect } from 'chai';
import { container as globalContainer, inject, injectable, Lifecycle, scoped, singleton } from 'tsyringe';
import { checkTsyringe, connectionContainer, takeLastBuilt } from '#signalbox/scope/connection-container.js';

describe('The container of a connection', () => {
  it('is refused at start-up for a version of tsyringe whose members have other names', () => {
    const renamed = { construct() {}, resolve() {}, register() {}, beforeResolution() {}, afterResolution() {} };
    expect(() => checkTsyringe(renamed)).to.throw(
      'tsyringe.resolveRegistration: is missing. Signalbox does not know the containers of this version of tsyringe. Install the version that Signalbox names among its peers: npm install tsyringe@4.10.',
    );
    expect(() => checkTsyringe()).not.to.throw();
  });

  it('has a scoped provider of its own, though its root be older than the declaration', () => {
    const root = globalContainer.createChildContainer();
    @scoped(Lifecycle.ContainerScoped)
    class Seat {}
    const [ann, bob] = [connectionContainer(root), connectionContainer(root)];
    expect(ann.resolve(Seat)).to.equal(ann.resolve(Seat));
    expect(ann.resolve(Seat)).not.to.equal(bob.resolve(Seat));
  });

  it('takes singletons from its root, with what they need', () => {
    const root = globalContainer.createChildContainer();
    root.register('name', { useValue: 'root' });
    @singleton()
    class Shared {
      constructor(@inject('name') readonly name: string) {}
      dispose(): void {}
    }
    const connection = connectionContainer(root);
    connection.register('name', { useValue: 'connection' });
    const shared = connection.resolve(Shared);
    expect(shared.name).to.equal('root');
    expect(root.resolve(Shared)).to.equal(shared);
    expect(takeLastBuilt(connection)).to.equal(undefined);
  });

  it('keeps a singleton of its own to itself', () => {
    const root = globalContainer.createChildContainer();
    @injectable()
    class Basket {
      dispose(): void {}
    }
    const [ann, bob] = [connectionContainer(root), connectionContainer(root)];
    ann.registerSingleton(Basket);
    const basket = ann.resolve(Basket);
    expect(ann.resolve(Basket)).to.equal(basket);
    expect(bob.resolve(Basket)).not.to.equal(basket);
    expect(takeLastBuilt(ann)).to.equal(basket);
  });

  it('leaves it to the order of construction what tsyringe itself would dispose', async () => {
    const connection = connectionContainer(globalContainer);
    let disposed = 0;
    @injectable()
    class Lamp {
      dispose(): void {
        disposed += 1;
      }
    }
    connection.resolve(Lamp);
    await connection.dispose();
    expect(disposed).to.equal(0);
  });

  it('keeps what is to happen at a resolution to itself', () => {
    const [ann, bob] = [connectionContainer(globalContainer), connectionContainer(globalContainer)];
    class Door {}
    const heard: string[] = [];
    ann.beforeResolution(Door, () => void heard.push('before'));
    ann.afterResolution(Door, () => void heard.push('after'));
    bob.resolve(Door);
    expect(heard).to.deep.equal([]);
    ann.resolve(Door);
    expect(heard).to.deep.equal(['before', 'after']);
  });

  it('gives a child of its own what is scoped to containers', () => {
    const root = globalContainer.createChildContainer();
    @injectable()
    class Seat {}
    root.register(Seat, { useClass: Seat }, { lifecycle: Lifecycle.ContainerScoped });
    const connection = connectionContainer(root);
    const child = connection.createChildContainer();
    expect(child.resolve(Seat)).to.equal(child.resolve(Seat));
    expect(child.resolve(Seat)).not.to.equal(connection.resolve(Seat));
    expect(connectionContainer(root).resolve(Seat)).not.to.equal(connection.resolve(Seat));
  });
});
