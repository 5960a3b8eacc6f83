import Mocha from 'mocha';
import { showSourceLines } from './source-lines.js';

const { Base, Spec } = Mocha.reporters;

/** Mocha's own account of the run, with the lines of the sources, then the names of what was passed over, then one line for people and scripts. */
export default class ClosingLinesReporter extends Spec {
  readonly #passedOver: string[] = [];

  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    // Before mocha's own listeners, which take the stack as it is.
    runner.on(Mocha.Runner.constants.EVENT_TEST_FAIL, (_, error) => showSourceLines(error));
    super(runner, options);
    runner.on(Mocha.Runner.constants.EVENT_TEST_PENDING, (test) => this.#passedOver.push(test.fullTitle()));
  }

  override epilogue(): void {
    super.epilogue();
    this.#namePassedOver();
    const leftOut = Number(process.env['SIGNALBOX_LEFT_OUT'] ?? 0);
    if (leftOut > 0) Base.consoleLog('%s', `  ${leftOut} files were left out, which take long: npm test -- --all\n`);
    const { passes, failures, pending } = this.stats;
    const skipped = pending > 0 ? `, ${pending} skipped` : '';
    Base.consoleLog('%s', `${passes} passed, ${failures} failed${skipped}`);
  }

  /** Exits with 1 where a spec failed, and where none ran; `fail-zero` of mocha would mean each file, which `--grep` empties. */
  override done(failures: number, exit: (code: number) => void): void {
    exit(failures > 0 || this.stats.tests === 0 ? 1 : 0);
  }

  #namePassedOver(): void {
    if (this.#passedOver.length === 0) return;
    Base.consoleLog('  passed over:');
    for (const title of this.#passedOver) Base.consoleLog('%s', `  - ${title}`);
    Base.consoleLog();
  }
}
