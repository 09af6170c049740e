//! The protocol crate's file system over one request's drive. Each callback is one operation of [`Drive`](crate::drive::Drive);
//! precise failures go into the exchange, and the crate hears only what steers it.

use crate::drive::{Copying, DriveUpload, UploadOptions};
use crate::http::dav::exchange::{DavExchange, DavMethod};
use crate::model::{Error, Result, VPath};
use crate::storage::{CopyDepth, InitialContent, Node};
use bytes::{Buf, Bytes};
use dav_server::davpath::DavPath;
use dav_server::fs::{
    DavDirEntry, DavFile, DavFileSystem, DavMetaData, FsError, FsFuture, FsResult, FsStream,
    OpenOptions, ReadDirMeta,
};
use futures_util::FutureExt;
use std::io::SeekFrom;
use std::sync::Arc;
use std::time::SystemTime;

/// The file system of one request.
#[derive(Clone, Debug)]
pub struct ExchangeFs(pub Arc<DavExchange>);

impl ExchangeFs {
    fn path(&self, path: &DavPath) -> FsResult<VPath> {
        let text = std::str::from_utf8(path.as_bytes()).map_err(|_| FsError::Forbidden)?;
        VPath::parse(text).map_err(|error| self.0.fail(error))
    }

    /// What the crate needs to hear of a path to go on. Where the drive's one step finds out by itself what stands there, and says
    /// so, nothing is looked at before it: a source is there, a parent is a folder, a target is free.
    async fn stat(&self, path: &DavPath) -> FsResult<Box<dyn DavMetaData>> {
        let exchange = &self.0;
        let path = self.path(path)?;
        let is_source = path == exchange.path;
        match exchange.method {
            DavMethod::Put | DavMethod::Mkcol | DavMethod::Unlock => Err(FsError::NotFound),
            DavMethod::Lock => exchange
                .existing
                .clone()
                .map(Meta::boxed)
                .ok_or(FsError::NotFound),
            DavMethod::Delete | DavMethod::Move if is_source => Ok(Meta::boxed(Node::unseen(true))),
            DavMethod::Copy | DavMethod::Patch if is_source => {
                match exchange.drive.stat(&path).await {
                    Ok(node) => Ok(Meta::boxed(node)),
                    Err(Error::NotFound) => Err(FsError::NotFound),
                    Err(error) => Err(exchange.fail(error)),
                }
            }
            _ if self.is_destination(&path) => Err(FsError::NotFound),
            _ => Ok(Meta::boxed(Node::unseen(true))),
        }
    }

    fn is_destination(&self, path: &VPath) -> bool {
        self.0.destination.as_ref() == Some(path)
    }

    async fn begin_put(&self, options: &OpenOptions) -> Result<DriveUpload> {
        let exchange = &self.0;
        let start = if options.truncate {
            InitialContent::Empty
        } else {
            InitialContent::Present
        };
        let announced = UploadOptions {
            len: exchange.len,
            estimate: exchange.estimate,
            modified: exchange.modified,
            start,
            checksum: exchange.checksum.clone(),
        };
        let mut upload = exchange
            .drive
            .begin_put(&exchange.path, announced, exchange.preconditions.clone())
            .await?;
        if options.append {
            let end = upload.len();
            upload.seek(end).await?;
        }
        Ok(upload)
    }

    async fn create_dir(&self, path: VPath) -> Result<()> {
        let exchange = &self.0;
        if exchange.method == DavMethod::Copy {
            return self.copy_all().await;
        }
        exchange
            .drive
            .mkdir(&path, exchange.preconditions.clone())
            .await?;
        exchange.made(true);
        Ok(())
    }

    /// The whole COPY, published in one step: the crate finds nothing left to walk.
    async fn copy_all(&self) -> Result<()> {
        let exchange = &self.0;
        let Some(to) = &exchange.destination else {
            return Err(Error::BadRequest("A copy needs a Destination."));
        };
        let reach = if exchange.shallow {
            CopyDepth::Zero
        } else {
            CopyDepth::Infinity
        };
        let copying = Copying {
            reach,
            overwrite: exchange.overwrite,
        };
        let created = exchange
            .drive
            .copy(&exchange.path, to, copying, exchange.preconditions.clone())
            .await?;
        exchange.made(created);
        Ok(())
    }

    /// DELETE is one step for a whole tree. In COPY and MOVE the target is replaced by that very step, not before it.
    async fn remove(&self, path: VPath) -> Result<()> {
        if self.is_destination(&path) {
            return Ok(());
        }
        self.0
            .drive
            .delete(&path, self.0.preconditions.clone())
            .await?;
        self.0.made(false);
        Ok(())
    }

    async fn move_all(&self, from: VPath, to: VPath) -> Result<()> {
        let created = self
            .0
            .drive
            .rename(&from, &to, self.0.overwrite, self.0.preconditions.clone())
            .await?;
        self.0.made(created);
        Ok(())
    }

    fn report<T>(&self, result: Result<T>) -> FsResult<T> {
        result.map_err(|error| self.0.fail(error))
    }
}

impl DavFileSystem for ExchangeFs {
    fn open<'a>(
        &'a self,
        _path: &'a DavPath,
        options: OpenOptions,
    ) -> FsFuture<'a, Box<dyn DavFile>> {
        async move {
            if self.0.method == DavMethod::Lock {
                let lock = self.0.outcome.lock().lock.clone();
                let Some(lock) = lock else {
                    return Err(FsError::GeneralFailure);
                };
                self.report(
                    self.0
                        .drive
                        .create_locked(&self.0.path, &lock, &self.0.preconditions)
                        .await,
                )?;
                self.0.made(true);
                return Ok(Box::new(PutFile {
                    fs: self.clone(),
                    upload: None,
                    node: None,
                }) as Box<dyn DavFile>);
            }
            let upload = self.report(self.begin_put(&options).await)?;
            Ok(Box::new(PutFile {
                fs: self.clone(),
                upload: Some(upload),
                node: None,
            }) as Box<dyn DavFile>)
        }
        .boxed()
    }

    fn read_dir<'a>(
        &'a self,
        _path: &'a DavPath,
        _meta: ReadDirMeta,
    ) -> FsFuture<'a, FsStream<Box<dyn DavDirEntry>>> {
        async move { Ok(Box::pin(futures_util::stream::empty()) as FsStream<Box<dyn DavDirEntry>>) }
            .boxed()
    }

    fn metadata<'a>(&'a self, path: &'a DavPath) -> FsFuture<'a, Box<dyn DavMetaData>> {
        self.stat(path).boxed()
    }

    fn create_dir<'a>(&'a self, path: &'a DavPath) -> FsFuture<'a, ()> {
        async move { self.report(ExchangeFs::create_dir(self, self.path(path)?).await) }.boxed()
    }

    fn remove_dir<'a>(&'a self, path: &'a DavPath) -> FsFuture<'a, ()> {
        async move { self.report(self.remove(self.path(path)?).await) }.boxed()
    }

    fn remove_file<'a>(&'a self, path: &'a DavPath) -> FsFuture<'a, ()> {
        async move { self.report(self.remove(self.path(path)?).await) }.boxed()
    }

    fn rename<'a>(&'a self, from: &'a DavPath, to: &'a DavPath) -> FsFuture<'a, ()> {
        async move { self.report(self.move_all(self.path(from)?, self.path(to)?).await) }.boxed()
    }

    fn copy<'a>(&'a self, _from: &'a DavPath, _to: &'a DavPath) -> FsFuture<'a, ()> {
        async move { self.report(self.copy_all().await) }.boxed()
    }
}

/// A file being put: nothing is visible before `flush`, and dropped without it nothing stays.
struct PutFile {
    fs: ExchangeFs,
    upload: Option<DriveUpload>,
    node: Option<Node>,
}

impl std::fmt::Debug for PutFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PutFile").field(&self.fs.0.path).finish()
    }
}

impl PutFile {
    fn upload(&mut self) -> FsResult<&mut DriveUpload> {
        self.upload.as_mut().ok_or(FsError::GeneralFailure)
    }
}

impl DavFile for PutFile {
    fn metadata(&mut self) -> FsFuture<'_, Box<dyn DavMetaData>> {
        let node = self.node.clone().ok_or(FsError::GeneralFailure);
        async move { Ok(Box::new(Meta(node?)) as Box<dyn DavMetaData>) }.boxed()
    }

    fn write_buf(&mut self, mut buffer: Box<dyn Buf + Send>) -> FsFuture<'_, ()> {
        self.write_bytes(buffer.copy_to_bytes(buffer.remaining()))
    }

    fn write_bytes(&mut self, bytes: Bytes) -> FsFuture<'_, ()> {
        async move {
            let result = self.upload()?.write(bytes).await;
            self.fs.report(result)
        }
        .boxed()
    }

    fn read_bytes(&mut self, _count: usize) -> FsFuture<'_, Bytes> {
        std::future::ready(Err(FsError::NotImplemented)).boxed()
    }

    fn seek(&mut self, position: SeekFrom) -> FsFuture<'_, u64> {
        async move {
            let SeekFrom::Start(offset) = position else {
                return Err(FsError::NotImplemented);
            };
            // Where an append begins is known already, and the crate always seeks to 0 for it.
            if offset > 0 {
                self.upload()?
                    .seek(offset)
                    .await
                    .map_err(|_| FsError::Forbidden)?;
            }
            Ok(offset)
        }
        .boxed()
    }

    fn flush(&mut self) -> FsFuture<'_, ()> {
        async move {
            let upload = self.upload.take().ok_or(FsError::GeneralFailure)?;
            let put = self.fs.report(upload.commit().await)?;
            self.fs.0.made(put.created());
            self.fs.0.outcome.lock().put = Some(put.node.clone());
            self.node = Some(put.node);
            Ok(())
        }
        .boxed()
    }
}

/// What the crate asks about a node.
#[derive(Clone, Debug)]
struct Meta(Node);

impl Meta {
    fn boxed(node: Node) -> Box<dyn DavMetaData> {
        Box::new(Self(node))
    }
}

impl DavMetaData for Meta {
    fn len(&self) -> u64 {
        self.0.len
    }

    /// The crate writes a time into a header only after the commit, and panics at one before 1970 or after 9999.
    fn modified(&self) -> FsResult<SystemTime> {
        Err(FsError::NotImplemented)
    }

    fn is_dir(&self) -> bool {
        self.0.folder
    }

    /// The crate adds the quotes.
    fn etag(&self) -> Option<String> {
        Some(self.0.etag.to_string().trim_matches('"').to_owned())
    }
}
