// A view is as wide as on a page of the book, and then enlarged to fill its frame.
const WIDTH = 760;
document.body.style.width = `${WIDTH}px`;
const { width, height } = document.body.getBoundingClientRect();
document.body.style.zoom = Math.min(innerWidth / width, innerHeight / height);
