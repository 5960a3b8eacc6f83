import { Clock, Logger } from 'signalbox';
import { MemoryLogger, TestClock } from 'signalbox/testing';
import { type DependencyContainer, container as globalContainer } from 'tsyringe';

export interface TestProviders {
  readonly container: DependencyContainer;
  readonly logger: MemoryLogger;
  readonly clock: TestClock;
}

/** A container of its own, whose log can be read and whose clock stands still. */
export function testProviders(): TestProviders {
  const container = globalContainer.createChildContainer();
  const logger = new MemoryLogger();
  const clock = new TestClock();
  container.registerInstance(Logger, logger);
  container.registerInstance(Clock, clock);
  return { container, logger, clock };
}
