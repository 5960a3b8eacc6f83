let known: string | undefined;

// `npm run dev` alone puts this into the pages: src/http/live-pages.ts says why and when a version is another one.
new EventSource('/dev/version').addEventListener('message', ({ data }) => {
  known ??= data;
  if (data !== known) location.reload();
});
