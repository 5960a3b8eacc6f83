import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { launchChromium, needsChromium } from './support/chromium.js';
import { packSignalbox, ReadersProject, readSteps, type Step } from './support/readers-project.js';

/** In milliseconds, on a busy machine. */
const TIME_TO_FOLLOW = 240_000;
const TIME_TO_SHOW = 30_000;

/** What a reader gets who does what the page says, block by block, with the packed Signalbox. */
describe('The tutorial', function () {
  this.timeout(TIME_TO_FOLLOW);
  let project: ReadersProject | undefined;
  let address: string;
  const printed: string[] = [];
  let expected: string;

  before(async () => {
    const tarball = await packSignalbox();
    const steps = await readSteps('docs/tutorial.md');
    [expected = ''] = steps.flatMap((step) => (step.kind === 'output' ? [step.text] : []));
    for (const step of steps) await follow(step, tarball);
  });
  after(() => project?.remove());

  async function follow(step: Step, tarball: string): Promise<void> {
    if (step.kind === 'file') await project?.write({ [step.path]: step.text });
    if (step.kind !== 'commands') return;
    for (const command of step.commands) printed.push(await run(command, tarball));
  }

  async function run(command: string, tarball: string): Promise<string> {
    if (command.startsWith('npx signalbox new ')) {
      project = await ReadersProject.generate(`${command} --no-install --no-git`, tarball);
      return '';
    }
    if (!project) throw new Error(`The page begins with ${command}`);
    if (command.startsWith('cd ')) await project.enter(command.slice('cd '.length), tarball);
    else if (command === 'npm start') address = await project.start();
    else {
      const own = command.replace(/^npx signalbox/, 'node node_modules/signalbox/bin/signalbox.js');
      return project.run(own.replace('ws://localhost:8000', String(address).replace('http', 'ws')));
    }
    return '';
  }

  it('ends with two clients, one of which sees what the other one does', () => {
    expect(expected.split('\n')).to.have.length(5);
    expect(printed.at(-1)).to.equal(expected);
  });

  it('prints what clients may call', () => {
    expect(printed.join('')).to.match(
      /issues: IssueConsumer of Issue {3}permissions: all\(IsAuthenticated, IsAuthor\)/,
    );
    expect(printed.join('')).to.match(/finish +pk: integer +writes +in a transaction/);
  });

  it('has specs that pass', () => {
    expect(printed.join('')).to.match(/\n {2}9 passing/);
  });

  describe('in two browsers', () => {
    let browser: Browser | undefined;
    let cat: Page;
    let dan: Page;
    const errors: string[] = [];

    async function join(name: string): Promise<Page> {
      const context = await browser?.newContext();
      if (!context) throw new Error('There is no browser.');
      const page = await context.newPage();
      page.setDefaultTimeout(TIME_TO_SHOW);
      page.on('pageerror', ({ message }) => errors.push(message));
      await page.goto(address);
      await page.getByLabel('Your name').fill(name);
      await page.keyboard.press('Enter');
      await page.getByLabel('New issue').waitFor();
      return page;
    }

    before(async function () {
      needsChromium(this);
      browser = await launchChromium();
      [cat, dan] = [await join('Cat'), await join('Dan')];
    });
    after(() => browser?.close());

    it('shows one member what the other one adds, and why he may not finish it', async () => {
      await cat.getByLabel('New issue').fill('The page is slow');
      await cat.keyboard.press('Enter');
      await dan.getByText('The page is slow (Cat)').waitFor();
      await dan.getByRole('button', { name: 'Finish The page is slow' }).click();
      await dan.getByRole('alert').getByText('You do not have permission to perform this action.').waitFor();
    });

    it('shows a label only, and what comes into it', async () => {
      cat.once('dialog', (dialog) => dialog.accept('bug'));
      await cat.getByRole('button', { name: 'New label' }).click();
      await cat.locator('#label option', { hasText: 'bug' }).waitFor({ state: 'attached' });
      await dan.reload();
      await dan.locator('#shown option', { hasText: 'bug' }).waitFor({ state: 'attached' });
      await dan.locator('#shown').selectOption({ label: 'bug' });
      await dan.getByText('The page is slow (Cat)').waitFor({ state: 'detached' });
      await cat.locator('#label').selectOption({ label: 'bug' });
      await cat.getByLabel('New issue').fill('It is wrong');
      await cat.keyboard.press('Enter');
      await dan.getByText('It is wrong (Cat)').waitFor();
    });

    it('has no error', () => {
      expect(errors).to.deep.equal([]);
    });
  });
});
