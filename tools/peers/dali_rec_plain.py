"""dali_rec.Loader over a packed data set, resizing without antialiasing, as MXNet's iterator does."""

from serve import Task, forever, serve

import dali_rec

task = Task()
dali_rec.pack(task.images, task.work / "packed")
loader = dali_rec.Loader(task.work / "packed", task.batch, task.size, threads=task.threads, antialias=False)
serve("dali-rec, antialias=False", dali_rec.__version__, forever(lambda: (len(labels) for _, labels in loader)))
